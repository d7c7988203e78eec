import type { BackendConfig } from '../../src/backends/index.ts'
import { kmip } from '../../src/backends/kmip.ts'
import { pkcs11 } from '../../src/backends/pkcs11.ts'
import type { BackendRow, CheckRow, Rows } from '../../src/backends/row.ts'
import { software } from '../../src/backends/software.ts'
import { transit, type TransitSettings } from './row.ts'

// `npm run typecheck` is the test: a line that is marked as wrong, but compiles, is an error.

type FourKinds = BackendConfig | TransitSettings

const { opened, openAdvice, custody, command, sessions, exposedKey, undecidedAdvice, enabledBy } = transit.check
const withoutAdvice = { opened, openAdvice, custody, command, sessions, exposedKey, enabledBy }

export const whole: CheckRow<TransitSettings> = { ...withoutAdvice, undecidedAdvice }

// @ts-expect-error It does not say what to do about a backend that is slow.
export const incomplete: CheckRow<TransitSettings> = withoutAdvice

type Row = BackendRow<TransitSettings>

// @ts-expect-error It does not say how the adapter reports a login that is refused.
export const silent: Row['incidents'] = { hostLost: undefined, tokenChanged: undefined }

export const exhaustive: Rows<FourKinds> = { software, pkcs11, kmip, transit }

// @ts-expect-error There is a kind without a row.
export const forgetful: Rows<FourKinds> = { software, pkcs11, kmip }

// @ts-expect-error A row stands under another kind's name.
export const mistaken: Rows<FourKinds> = { software, pkcs11, kmip, transit: kmip }
