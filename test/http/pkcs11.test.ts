import { softHsmTokens } from '../pkcs11/support/softhsm.ts'
import { backendHarness } from '../pkcs11/support/token-kind.ts'
import { describeConformance } from './conformance.ts'
import { describeSecrecy } from './secrecy.ts'
import { describeApi } from './suite.ts'

const harness = backendHarness(softHsmTokens)

describeConformance(harness)
describeApi(harness)
describeSecrecy(harness)
