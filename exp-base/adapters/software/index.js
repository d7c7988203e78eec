import { SoftwareAdapter } from "./adapter.js";
import { SoftwareAdministration } from "./administration.js";
export const { open, administer } = {
    open: (options, report) => SoftwareAdapter.open(options, report),
    administer: async (options) => new SoftwareAdministration(options),
};
