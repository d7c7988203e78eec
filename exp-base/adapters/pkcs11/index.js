import { Pkcs11Adapter } from "./adapter.js";
import { Pkcs11Administration } from "./administration.js";
import { resolveSettings } from "./backend-uri.js";
export { readBackendUri } from "./backend-uri.js";
const module = {
    open: async (settings, report) => Pkcs11Adapter.open(await resolveSettings(settings), report),
    administer: async (settings) => new Pkcs11Administration(await resolveSettings(settings)),
};
export const { open, administer } = module;
