import { afterAll } from 'vitest'
import { opencryptokiTokens, stopOpencryptoki } from './support/opencryptoki.ts'
import { describeToken } from './support/suites.ts'

afterAll(stopOpencryptoki)
describeToken(opencryptokiTokens, 'opencryptoki, software token')
