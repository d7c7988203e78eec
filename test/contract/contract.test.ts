import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  AdapterError,
  algorithmRow,
  isKeyName,
  isWrapAlgorithm,
  lengthFits,
  OperatorError,
  Secret,
  systemCode,
  wrapAlgorithms,
} from '../../adapters/contract/index.ts'

describe('the contract’s algorithms', () => {
  it('are these four, in this order', () => {
    expect(wrapAlgorithms).toEqual(['A256KW', 'A256KWP', 'RSA-OAEP', 'RSA-OAEP-256'])
    for (const algorithm of wrapAlgorithms) expect(isWrapAlgorithm(algorithm)).toBe(true)
  })

  it.each(['', 'a256kw', 'A128KW', 'RSA1_5', 'RSA-OAEP-512', 'constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    'do not include %j',
    (name) => {
      expect(isWrapAlgorithm(name)).toBe(false)
    },
  )

  it.each([
    { algorithm: 'A256KW', bits: 256, fits: [16, 24, 32, 4096], not: [0, 8, 15, 17, 33] },
    { algorithm: 'A256KWP', bits: 256, fits: [1, 7, 8, 9, 32, 4096], not: [0] },
    { algorithm: 'RSA-OAEP', bits: 2048, fits: [1, 214], not: [0, 215, 256] },
    { algorithm: 'RSA-OAEP', bits: 3072, fits: [1, 342], not: [0, 343] },
    { algorithm: 'RSA-OAEP', bits: 4096, fits: [1, 470], not: [0, 471] },
    { algorithm: 'RSA-OAEP-256', bits: 2048, fits: [1, 190], not: [0, 191] },
    { algorithm: 'RSA-OAEP-256', bits: 3072, fits: [1, 318], not: [0, 319] },
    { algorithm: 'RSA-OAEP-256', bits: 4096, fits: [1, 446], not: [0, 447] },
  ] as const)('accept the lengths of their standard: $algorithm under $bits bits', ({ algorithm, bits, fits, not }) => {
    const rule = algorithmRow(algorithm).plaintext(bits)
    for (const bytes of fits) expect(lengthFits(rule, bytes), `${bytes}`).toBe(true)
    for (const bytes of not) expect(lengthFits(rule, bytes), `${bytes}`).toBe(false)
  })

  it.each([
    { algorithm: 'A256KW', bits: 256, plaintext: 32, wrapped: 40 },
    { algorithm: 'A256KWP', bits: 256, plaintext: 1, wrapped: 16 },
    { algorithm: 'A256KWP', bits: 256, plaintext: 8, wrapped: 16 },
    { algorithm: 'A256KWP', bits: 256, plaintext: 9, wrapped: 24 },
    { algorithm: 'A256KWP', bits: 256, plaintext: 32, wrapped: 40 },
    { algorithm: 'RSA-OAEP', bits: 2048, plaintext: 32, wrapped: 256 },
    { algorithm: 'RSA-OAEP-256', bits: 3072, plaintext: 32, wrapped: 384 },
    { algorithm: 'RSA-OAEP-256', bits: 4096, plaintext: 32, wrapped: 512 },
  ] as const)('wrap $plaintext bytes into $wrapped, and unwrap them to $plaintext again: $algorithm', (row) => {
    expect(algorithmRow(row.algorithm).wrappedBytes(row.plaintext, row.bits)).toBe(row.wrapped)
    expect(lengthFits(algorithmRow(row.algorithm).unwrapped(row.wrapped, row.bits), row.plaintext)).toBe(true)
  })
})

describe('a key name', () => {
  it.each(['a', 'A', '0', '-', 'Payroll-2026', 'x'.repeat(64)])('can be %s', (name) => {
    expect(isKeyName(name)).toBe(true)
  })

  it.each(['', 'x'.repeat(65), 'a b', 'a_b', 'a.b', 'a/b', '../a', 'a\n', '\na', 'ä', 'a\0', '%41'])(
    'cannot be %j',
    (name) => {
      expect(isKeyName(name)).toBe(false)
    },
  )
})

describe('a secret', () => {
  const secret = new Secret(new TextEncoder().encode('hunter2'))

  it.each([
    { how: 'as text', print: () => String(secret) },
    { how: 'in a list', print: () => [secret].join() },
    { how: 'as JSON', print: () => JSON.stringify({ secret }) },
    { how: 'inspected', print: () => inspect({ secret }, { depth: null, showHidden: true }) },
    { how: 'as its entries', print: () => JSON.stringify(Object.entries(secret)) },
  ])('does not print $how', ({ print }) => {
    expect(print()).not.toContain('hunter2')
    expect(print()).not.toContain('104')
  })

  it('is revealed as a copy, which can be zeroed', () => {
    secret.reveal().fill(0)
    expect(new TextDecoder().decode(secret.reveal())).toBe('hunter2')
  })
})

describe('the contract’s errors', () => {
  it('are AdapterErrors with a code, and with details only when given', () => {
    const plain = new AdapterError('CLOSED', 'closed')
    expect(plain).toMatchObject({ name: 'AdapterError', code: 'CLOSED', message: 'closed' })
    expect([plain.detail, plain.retryAfterSeconds]).toEqual([undefined, undefined])
    const busy = new AdapterError('BACKEND_BUSY', 'busy', { detail: 0x31, retryAfterSeconds: 2 })
    expect([busy.detail, busy.retryAfterSeconds]).toEqual([0x31, 2])
  })

  it('are OperatorErrors with a code', () => {
    expect(new OperatorError('KEY_EXISTS', 'there')).toMatchObject({ name: 'OperatorError', code: 'KEY_EXISTS' })
  })

  it.each([
    { error: Object.assign(new Error('x'), { code: 'ENOENT' }), code: 'ENOENT' },
    { error: new Error('x'), code: 'unknown error' },
    { error: Object.assign(new Error('x'), { code: 5 }), code: 'unknown error' },
    { error: 'ENOENT', code: 'unknown error' },
  ])('are told apart by their system code: $code', ({ error, code }) => {
    expect(systemCode(error)).toBe(code)
  })
})
