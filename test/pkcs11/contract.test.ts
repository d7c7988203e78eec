import { describeAdapter } from '../contract/suite.ts'
import { softHsmTokens } from './support/softhsm.ts'
import { contractHarness } from './support/token-kind.ts'

describeAdapter(contractHarness(softHsmTokens))
