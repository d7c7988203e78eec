import { readFileSync } from 'node:fs'
import { afterAll, expect } from 'vitest'
import { CONFIGURATION, opencryptokiTokens, stopOpencryptoki } from './support/opencryptoki.ts'
import { describeToken } from './support/suites.ts'

// Left over from a killed run.
await stopOpencryptoki()
const found = readFileSync(CONFIGURATION, 'utf8')

afterAll(async () => {
  await stopOpencryptoki()
  expect(readFileSync(CONFIGURATION, 'utf8')).toBe(found)
})
describeToken(opencryptokiTokens, 'opencryptoki, software token')
