import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeyAdministration, KeyRef, KeySpec } from '../../adapters/contract/index.ts'
import { administer, open } from '../../adapters/software/index.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { rejection } from '../contract/suite.ts'
import { contextOf } from '../support/context.ts'
import { operatorError } from './operator-error.ts'
import { PASSPHRASE, secret, temporaryDirectory, temporaryStore, type TemporaryStore } from './fixtures.ts'

const context = contextOf(new AbortController().signal, Infinity, 'test')

describe('keys of a software store, for an operator', () => {
  let temporary: TemporaryStore
  let keys: Required<KeyAdministration>
  beforeEach(async () => {
    temporary = await temporaryStore()
    keys = (await administer(temporary)) as Required<KeyAdministration>
  })
  afterEach(() => temporary.remove())

  it.each<KeySpec>([
    { kty: 'oct', bits: 256 },
    { kty: 'RSA', bits: 2048 },
    { kty: 'RSA', bits: 3072 },
  ])('can be made: $kty of $bits bits', async (spec) => {
    const before = Date.now()
    const { created, ...summary } = await keys.create('new', spec, {})
    expect(summary).toEqual({ name: 'new', enabled: true, ...spec })
    expect(created?.getTime()).toBeGreaterThanOrEqual(before)
    const adapter = await open(temporary, () => undefined)
    expect(await adapter.describe('new' as KeyRef, context)).toMatchObject(spec)
    await adapter.close()
  })

  it.each<KeySpec>([
    { kty: 'oct', bits: 128 },
    { kty: 'oct', bits: 512 },
    { kty: 'RSA', bits: 1024 },
    { kty: 'RSA', bits: 2049 },
    { kty: 'RSA', bits: 8192 },
  ])('cannot be made: $kty of $bits bits', async (spec) => {
    expect((await operatorError(keys.create('new', spec, {}))).code).toBe('KEY_MATERIAL_INVALID')
    expect(await readdir(temporary.directory)).toEqual(['store.json'])
  })

  it('are new random keys each time', async () => {
    await keys.create('one', { kty: 'oct', bits: 256 }, {})
    await keys.create('two', { kty: 'oct', bits: 256 }, {})
    const [one, two] = await temporary.store.readAll()
    expect(one && two && JSON.stringify(one.jwk) !== JSON.stringify(two.jwk)).toBe(true)
  })

  it('create the store with the first key, at the default cost', async () => {
    const { directory, remove } = await temporaryDirectory()
    const options = { directory, passphrase: secret(PASSPHRASE) }
    await (await administer(options)).create('first', { kty: 'oct', bits: 256 }, {})
    const header = JSON.parse(await readFile(join(directory, 'store.json'), 'utf8')) as { scrypt: object }
    expect(header.scrypt).toMatchObject({ N: 2 ** 17, r: 8, p: 1 })
    await remove()
  })

  it('are never replaced, whether made or imported', async () => {
    await keys.create('aes', { kty: 'oct', bits: 256 }, {})
    const before = await readFile(join(temporary.directory, 'aes.jwe'))
    const calls = [
      () => keys.create('aes', { kty: 'oct', bits: 256 }, {}),
      () => keys.import('aes', Buffer.from(randomBytes(32).toString('hex')), {}),
    ]
    for (const call of calls) expect((await operatorError(call())).code).toBe('KEY_EXISTS')
    expect(before.equals(await readFile(join(temporary.directory, 'aes.jwe')))).toBe(true)
  })

  it('are imported, and the caller’s buffer is zeroed', async () => {
    const material = Buffer.from(JSON.stringify(await rsaKey(2048)))
    expect(await keys.import('rsa', material, {})).toMatchObject({ name: 'rsa', kty: 'RSA', bits: 2048, enabled: true })
    expect(material.every((byte) => byte === 0)).toBe(true)
  })

  it.each([
    { what: 'the material', name: 'aes', material: 'garbage', code: 'KEY_MATERIAL_INVALID' },
    { what: 'the name', name: 'a/b', material: randomBytes(32).toString('hex'), code: 'KEY_NAME_INVALID' },
  ])('leave no trace of the input even if $what is refused', async ({ name, material, code }) => {
    const buffer = Buffer.from(material)
    expect((await operatorError(keys.import(name, buffer, {}))).code).toBe(code)
    expect(buffer.every((byte) => byte === 0)).toBe(true)
    expect(await readdir(temporary.directory)).toEqual(['store.json'])
  })

  it('are listed by name, with their dates and state, and without the keys', async () => {
    const notBefore = new Date('2026-01-01T00:00:00Z')
    const expires = new Date('2030-01-01T00:00:00Z')
    await keys.import('b', Buffer.from(JSON.stringify(await rsaKey(2048))), { notBefore, expires })
    await keys.create('a', { kty: 'oct', bits: 256 }, {})
    await keys.setEnabled('a', false)
    const list = await keys.list()
    expect(list).toEqual([
      { name: 'a', kty: 'oct', bits: 256, enabled: false, created: expect.any(Date) as Date },
      { name: 'b', kty: 'RSA', bits: 2048, enabled: true, created: expect.any(Date) as Date, notBefore, expires },
    ])
  })

  it.each([
    { what: 'the end before the start', dates: { notBefore: new Date(2000), expires: new Date(1000) } },
    { what: 'the end at the start', dates: { notBefore: new Date(1000), expires: new Date(1000) } },
    { what: 'a start that is no date', dates: { notBefore: new Date('soon') } },
    { what: 'an end that is no date', dates: { expires: new Date('later') } },
    { what: 'an end before 1970', dates: { expires: new Date('1969-12-31T23:59:59Z') } },
  ])('cannot have such dates: $what', async ({ dates }) => {
    expect((await operatorError(keys.create('dated', { kty: 'oct', bits: 256 }, dates))).code).toBe('KEY_DATES_INVALID')
    expect(await readdir(temporary.directory)).toEqual(['store.json'])
  })

  it('can be disabled and enabled without any other change', async () => {
    const created = await keys.create('aes', { kty: 'oct', bits: 256 }, { expires: new Date('2040-01-01T00:00:00Z') })
    const before = await temporary.store.read('aes')
    expect(await keys.setEnabled('aes', false)).toMatchObject({ ...created, created: before.created, enabled: false })

    const adapter = await open(temporary, () => undefined)
    expect((await rejection(adapter.describe('aes' as KeyRef, context))).code).toBe('KEY_DISABLED')
    await adapter.close()

    await keys.setEnabled('aes', true)
    const after = await temporary.store.read('aes')
    expect(JSON.stringify(after) === JSON.stringify(before)).toBe(true)
  })

  it('cannot be disabled if they do not exist', async () => {
    const error = await operatorError(keys.setEnabled('absent', false))
    expect(error.code).toBe('KEY_NOT_FOUND')
    expect(error.message).toContain('absent')
    expect((await operatorError(keys.setEnabled('../absent', false))).code).toBe('KEY_NAME_INVALID')
  })

  it('cannot be managed with a wrong passphrase, whatever is asked', async () => {
    await keys.create('aes', { kty: 'oct', bits: 256 }, {})
    const wrong = (await administer({ ...temporary, passphrase: secret('wrong') })) as Required<KeyAdministration>
    const calls = [
      () => wrong.list(),
      () => wrong.create('other', { kty: 'oct', bits: 256 }, {}),
      () => wrong.setEnabled('aes', false),
    ]
    for (const call of calls) expect((await operatorError(call())).code).toBe('PASSPHRASE_WRONG')
    expect((await readdir(temporary.directory)).sort()).toEqual(['aes.jwe', 'store.json'])
  })
})
