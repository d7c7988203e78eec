import { apiVersion } from "../version.js";
import { contextBody } from "./wire.js";
/** Azure's health monitor: answered from the proxy alone, without a call to the backend. */
export const info = {
    operation: 'info',
    takesKey: false,
    body: contextBody,
    async answer({ info: { proxyVendor, proxyName, ekmVendor, ekmProduct } }) {
        return {
            api_version: apiVersion,
            proxy_vendor: proxyVendor,
            proxy_name: proxyName,
            ekm_vendor: ekmVendor,
            ekm_product: ekmProduct,
        };
    },
};
