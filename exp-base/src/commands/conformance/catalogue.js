import { afterwardsCases } from "./cases/afterwards.js";
import { algorithmCases } from "./cases/algorithms.js";
import { bodyCases } from "./cases/body.js";
import { clientCases } from "./cases/clients.js";
import { disabledCases } from "./cases/disabled.js";
import { encodingCases } from "./cases/encodings.js";
import { httpCases } from "./cases/http.js";
import { keyWrapCases } from "./cases/key-wrap.js";
import { replyCases } from "./cases/replies.js";
import { rsaCases } from "./cases/rsa.js";
import { timingCases } from "./cases/timing.js";
import { tlsCases } from "./cases/tls.js";
import { urlCases } from "./cases/url.js";
export const sections = [
    { title: 'TLS', cases: tlsCases },
    { title: 'Clients', cases: clientCases },
    { title: 'URL, key names, api-version', cases: urlCases },
    { title: 'Request bodies', cases: bodyCases },
    { title: 'Replies of info and metadata', cases: replyCases },
    { title: 'Encoding of values', cases: encodingCases },
    { title: 'Algorithms', cases: algorithmCases },
    { title: 'AES key wrap', cases: keyWrapCases },
    { title: 'RSA-OAEP', cases: rsaCases },
    { title: 'Disabled keys', cases: disabledCases },
    { title: 'HTTP', cases: httpCases },
    { title: 'Latency and load', cases: timingCases },
    { title: 'Every answer of the run', cases: afterwardsCases },
];
export const catalogue = sections.flatMap(({ cases }) => cases);
