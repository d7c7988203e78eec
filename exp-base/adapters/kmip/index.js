import { KmipAdapter } from "./adapter.js";
import { KmipAdministration } from "./administration.js";
export const { open, administer } = {
    open: (options, report) => KmipAdapter.open(options, report),
    administer: async (options) => new KmipAdministration(options),
};
