import { describeWrongProxies } from './wrong-proxies.ts'
import { mutations } from './wrong-proxies/index.ts'

describeWrongProxies(mutations.cryptography)
