/** The only place that names an adapter. Each is loaded when it is first needed, so that one nobody uses costs nothing. */
const modules = {
    software: () => import("../adapters/software/index.js"),
    kmip: () => import("../adapters/kmip/index.js"),
    pkcs11: () => import("../adapters/pkcs11/index.js"),
};
export async function openBackend(settings, report) {
    const module = await modules[settings.kind]();
    return module.open(settings, report);
}
/** `undefined` where the backend's keys can only be managed with its own tools. */
export async function administerBackend(settings) {
    const module = await modules[settings.kind]();
    return module.administer?.(settings);
}
