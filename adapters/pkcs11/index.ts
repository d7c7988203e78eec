import type { AdapterModule } from '../contract/index.ts'
import { Pkcs11Adapter } from './adapter.ts'
import { Pkcs11Administration } from './administration.ts'
import { resolveSettings, type Pkcs11Settings } from './names/backend-uri.ts'

export type { Pkcs11Adapter } from './adapter.ts'
export { readBackendUri, type Pkcs11Settings } from './names/backend-uri.ts'
export type { Qualification } from './keys/qualification.ts'
export type { Pkcs11Options } from './options.ts'
export { surveyTokens } from './supervisor/survey.ts'
export { remedyFor } from './supervisor/remedy.ts'
export type { TokenSeen } from './wire/host-protocol.ts'

const module = {
  open: async (settings, report) => Pkcs11Adapter.open(await resolveSettings(settings), report),
  administer: async (settings) => new Pkcs11Administration(await resolveSettings(settings)),
} satisfies Required<AdapterModule<Pkcs11Settings>>

export const { open, administer } = module
