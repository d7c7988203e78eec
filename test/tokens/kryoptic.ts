import { kryopticTokens } from './support/kryoptic.ts'
import { describeToken } from './support/suites.ts'

describeToken(kryopticTokens, 'Kryoptic')
