import type { AdapterModule } from '../contract/index.ts'
import { Pkcs11Adapter } from './adapter.ts'
import { Pkcs11Administration } from './administration.ts'
import { resolveSettings, type Pkcs11Settings } from './backend-uri.ts'

export type { Pkcs11Adapter } from './adapter.ts'
export { readBackendUri, type Pkcs11Settings } from './backend-uri.ts'
export type { Qualification } from './keys/qualification.ts'
export type { Pkcs11Options } from './options.ts'

const module = {
  open: async (settings, report) => Pkcs11Adapter.open(await resolveSettings(settings), report),
  administer: async (settings) => new Pkcs11Administration(await resolveSettings(settings)),
} satisfies Required<AdapterModule<Pkcs11Settings>>

export const { open, administer } = module
