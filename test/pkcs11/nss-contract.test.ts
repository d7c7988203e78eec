import { describeAdapter } from '../contract/suite.ts'
import { nssTokens } from './support/nss.ts'
import { contractHarness } from './support/token-kind.ts'

describeAdapter(contractHarness(nssTokens))
