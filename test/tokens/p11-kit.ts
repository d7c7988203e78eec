import { p11KitTokens } from './support/p11-kit.ts'
import { describeToken } from './support/suites.ts'

describeToken(p11KitTokens, 'p11-kit server and client in front of SoftHSM')
