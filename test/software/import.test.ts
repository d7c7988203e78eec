import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { parseMaterial } from '../../adapters/software/key-material.ts'
import type { RsaPrivateJwk } from '../contract/harness.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { operatorError } from './operator-error.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const pemOf = (jwk: RsaPrivateJwk, options: { type: 'pkcs8' | 'pkcs1'; cipher?: string; passphrase?: string }) =>
  createPrivateKey({ key: { ...jwk }, format: 'jwk' })
    .export({ format: 'pem', ...options })
    .toString()

const raw = randomBytes(32)
let rsa: RsaPrivateJwk
let otherRsa: RsaPrivateJwk
let smallRsa: RsaPrivateJwk

beforeAll(async () => {
  ;[rsa, otherRsa, smallRsa] = await Promise.all([rsaKey(2048), rsaKey(2048, 'other'), rsaKey(1024)])
})

// Compared as booleans throughout: a diff would print the key.
describe('the software store imports an AES key', () => {
  it.each([
    ['as a JWK', () => JSON.stringify({ kty: 'oct', k: raw.toString('base64url') })],
    [
      'as a JWK with more members',
      () => JSON.stringify({ alg: 'A256KW', kid: 'x', k: raw.toString('base64url'), kty: 'oct', use: 'enc' }),
    ],
    [
      'as a JWK with white space',
      () => `\n ${JSON.stringify({ kty: 'oct', k: raw.toString('base64url') }, null, 2)}\n`,
    ],
    ['in lower-case hexadecimal', () => raw.toString('hex')],
    ['in upper-case hexadecimal, with a line end', () => `${raw.toString('hex').toUpperCase()}\r\n`],
    ['in base64url', () => raw.toString('base64url')],
    ['in base64url, with a line end', () => `${raw.toString('base64url')}\n`],
  ])('%s', async (_how, text) => {
    const jwk = await parseMaterial(bytes(text()))
    expect(jwk.kty === 'oct' && Buffer.from(jwk.k, 'base64url').equals(raw)).toBe(true)
    expect(Object.keys(jwk).sort()).toEqual(['k', 'kty'])
  })
})

describe('the software store imports an RSA key', () => {
  it.each([
    ['as a JWK', () => JSON.stringify(rsa)],
    ['as a JWK with more members', () => JSON.stringify({ ...rsa, alg: 'RSA-OAEP-256', key_ops: ['unwrapKey'] })],
    ['as PKCS#8', () => pemOf(rsa, { type: 'pkcs8' })],
    ['as PKCS#8 with other line ends', () => pemOf(rsa, { type: 'pkcs8' }).replaceAll('\n', '\r\n')],
    [
      'with a leading zero byte too many in n, which is not kept',
      () =>
        JSON.stringify({
          ...rsa,
          n: Buffer.concat([Buffer.alloc(1), Buffer.from(rsa.n, 'base64url')]).toString('base64url'),
        }),
    ],
  ])('%s', async (_how, text) => {
    const jwk = await parseMaterial(bytes(text()))
    expect(JSON.stringify(Object.entries(jwk).sort()) === JSON.stringify(Object.entries(rsa).sort())).toBe(true)
  })

  it.each([3072, 4096] as const)('with %i bits', async (bits) => {
    const key = await rsaKey(bits)
    expect(JSON.stringify(await parseMaterial(bytes(JSON.stringify(key))))).toContain(key.n)
  })
})

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
const publicOf = (jwk: RsaPrivateJwk) => createPublicKey(createPrivateKey({ key: { ...jwk }, format: 'jwk' }))

describe('the software store refuses to import', () => {
  const replaced = (name: keyof RsaPrivateJwk) =>
    [`an RSA JWK with another key's ${name}`, () => JSON.stringify({ ...rsa, [name]: otherRsa[name] })] as const

  it.each<readonly [string, () => string]>([
    ['an empty file', () => ''],
    ['white space', () => ' \n'],
    ['text that is no key', () => 'not a key at all'],
    ['bytes that are no key', () => randomBytes(32).toString('latin1')],
    ['an RSA public key in PEM', () => publicOf(rsa).export({ type: 'spki', format: 'pem' }).toString()],
    ['an RSA public key as a JWK', () => JSON.stringify({ kty: 'RSA', n: rsa.n, e: rsa.e })],
    ['an RSA JWK without its factors', () => JSON.stringify({ kty: 'RSA', n: rsa.n, e: rsa.e, d: rsa.d })],
    ['an EC key in PEM', () => ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['an EC key as a JWK', () => JSON.stringify(ec.privateKey.export({ format: 'jwk' }))],
    ['an RSA-PSS key in PEM', () => pss.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()],
    ['an encrypted PEM', () => pemOf(rsa, { type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })],
    ['a PKCS#1 PEM', () => pemOf(rsa, { type: 'pkcs1' })],
    ['an empty PEM', () => '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n'],
    ['a PEM cut in half', () => pemOf(rsa, { type: 'pkcs8' }).slice(0, 800)],
    ['RSA-1024 in PEM', () => pemOf(smallRsa, { type: 'pkcs8' })],
    ['RSA-1024 as a JWK', () => JSON.stringify(smallRsa)],
    ['a certificate', () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ['a 128-bit key in hexadecimal', () => raw.toString('hex').slice(32)],
    ['a 128-bit key in base64url', () => raw.subarray(16).toString('base64url')],
    ['a 128-bit key as a JWK', () => JSON.stringify({ kty: 'oct', k: raw.subarray(16).toString('base64url') })],
    ['a 264-bit key as a JWK', () => JSON.stringify({ kty: 'oct', k: randomBytes(33).toString('base64url') })],
    ['hexadecimal with a digit missing', () => raw.toString('hex').slice(1)],
    ['hexadecimal with a letter that is none', () => `g${raw.toString('hex').slice(1)}`],
    ['padded base64url', () => `${raw.toString('base64url')}=`],
    ['base64 with its own two letters', () => Buffer.alloc(32, 0xfb).toString('base64').replace('=', '')],
    ['base64url with bits left over', () => `${raw.toString('base64url').slice(0, -1)}B`],
    ['a JWK with a padded k', () => JSON.stringify({ kty: 'oct', k: `${raw.toString('base64url')}=` })],
    [
      'a JWK with a character in k that is none',
      () => JSON.stringify({ kty: 'oct', k: `!${raw.toString('base64url')}` }),
    ],
    ['a JWK without a k', () => JSON.stringify({ kty: 'oct' })],
    ['a JWK with a k that is no text', () => JSON.stringify({ kty: 'oct', k: 1 })],
    ['a JWK of no known type', () => JSON.stringify({ kty: 'OKP', crv: 'X25519', x: '', d: '' })],
    ['JSON that is no JWK', () => '{}'],
    ['a JWK set', () => JSON.stringify({ keys: [{ kty: 'oct', k: raw.toString('base64url') }] })],
    ['two JWKs', () => `${JSON.stringify(rsa)}\n${JSON.stringify(rsa)}`],
    replaced('n'),
    replaced('d'),
    replaced('p'),
    replaced('q'),
    replaced('dp'),
    replaced('dq'),
    replaced('qi'),
    ['an RSA JWK with another e', () => JSON.stringify({ ...rsa, e: 'Aw' })],
    ['an RSA JWK with its factors in the other order', () => JSON.stringify({ ...rsa, p: rsa.q, q: rsa.p })],
    // The members of an RSA key belong together. Encryption would not notice a changed one.
    ['an RSA JWK with the exponent 1', () => JSON.stringify({ ...rsa, e: 'AQ', d: 'AQ', dp: 'AQ', dq: 'AQ' })],
    ['an RSA JWK of zeros', () => JSON.stringify({ ...rsa, p: 'AA', q: 'AA' })],
  ])('%s', async (_what, text) => {
    const error = await operatorError(parseMaterial(bytes(text())))
    expect(error.code).toBe('KEY_MATERIAL_INVALID')
    // Messages are printed unchanged, so that they must not contain any input.
    expect(
      [rsa.d, rsa.p, raw.toString('hex'), raw.toString('base64url')].some((part) => error.message.includes(part)),
    ).toBe(false)
  })
})
