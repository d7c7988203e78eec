import { nssTokens } from '../pkcs11/support/nss.ts'
import { backendHarness } from '../pkcs11/support/token-kind.ts'
import { describeConformance } from './conformance.ts'
import { describeSecrecy } from './secrecy.ts'
import { describeApi } from './suite.ts'

const harness = backendHarness(nssTokens)

describeConformance(harness)
describeApi(harness)
describeSecrecy(harness)
