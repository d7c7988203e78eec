import { describeWrongProxies } from "./wrong-proxies.js";
import { mutations } from "./wrong-proxies/index.js";
describeWrongProxies(mutations.protocol);
