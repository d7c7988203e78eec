import { bodyMutations, encodingMutations, replyMutations, urlMutations } from "./requests.js";
import { clientMutations, httpMutations, tlsMutations } from "./transport.js";
import { algorithmMutations, disabledMutations, keyWrapMutations, oaepMutations } from "./wrapping.js";
/** Every wrong proxy, in two halves that take about as long, for two test files. */
export const mutations = {
    protocol: [...tlsMutations, ...clientMutations, ...httpMutations, ...urlMutations, ...bodyMutations],
    cryptography: [
        ...replyMutations,
        ...encodingMutations,
        ...algorithmMutations,
        ...keyWrapMutations,
        ...oaepMutations,
        ...disabledMutations,
    ],
};
