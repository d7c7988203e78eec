import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { findCanaries } from './canaries.ts'

describe('the tests’ detector of secrets', () => {
  it.each(['latin1', 'hex', 'base64', 'base64url'] as const)(
    'finds a value in %s, in full or its beginning',
    (encoding) => {
      const secret = randomBytes(48)
      expect(findCanaries(`x${secret.toString(encoding)}x`, { secret })).not.toEqual([])
      expect(findCanaries(`x${secret.subarray(0, 16).toString('hex')}x`, { secret })).toEqual(['secret in hex'])
      expect(findCanaries(inspect(secret), { secret })).toEqual(['secret in spaced hex'])
      expect(findCanaries(randomBytes(4096).toString('hex'), { secret })).toEqual([])
    },
  )
})
