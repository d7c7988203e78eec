import { apiVersion } from '../base/version.ts'
import type { Route } from './route.ts'
import { contextBody } from './wire.ts'

/** Called by Azure's health monitor. The proxy answers it without calling the backend. */
export const info: Route<typeof contextBody> = {
  operation: 'info',
  takesKey: false,
  body: contextBody,
  async answer({ info: { proxyVendor, proxyName, ekmVendor, ekmProduct } }) {
    return JSON.stringify({
      api_version: apiVersion,
      proxy_vendor: proxyVendor,
      proxy_name: proxyName,
      ekm_vendor: ekmVendor,
      ekm_product: ekmProduct,
    })
  },
}
