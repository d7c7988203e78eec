import { builds } from "./builds.js";
import { handshakes } from "./handshakes.js";
import { kmipLatency } from "./kmip-latency.js";
import { rate } from "./rate.js";
import { rsa } from "./rsa.js";
import { soak } from "./soak.js";
import { softhsm } from "./softhsm.js";
import { softhsmLatency } from "./softhsm-latency.js";
import { workers } from "./workers.js";
import { wrap } from "./wrap.js";
/** In the order in which they are measured and listed. */
export const figures = [
    wrap,
    softhsm,
    softhsmLatency,
    kmipLatency,
    rate,
    handshakes,
    rsa,
    workers,
    soak,
    builds,
];
