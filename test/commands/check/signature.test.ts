import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { signatureOf } from '../../../src/commands/check/signature.ts'
import { makeWorkspace, type Workspace } from '../../support/workspace.ts'
import { makeCertificate } from './site.ts'

let workspace: Workspace
beforeAll(async () => {
  workspace = await makeWorkspace()
})
afterAll(() => workspace.remove())

const pss = (...more: string[]) => ['rsa:2048', '-sigopt', 'rsa_padding_mode:pss', ...more]
const ec = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']

it.each<[string, string[], boolean]>([
  ['RSASSA-PKCS1-v1_5 with MD5', ['rsa:2048', '-md5'], true],
  ['RSASSA-PKCS1-v1_5 with SHA-1', ['rsa:2048', '-sha1'], true],
  ['RSASSA-PKCS1-v1_5 with SHA-256', ['rsa:2048', '-sha256'], false],
  ['RSASSA-PKCS1-v1_5 with SHA-512', ['rsa:2048', '-sha512'], false],
  ['RSA-PSS with SHA-1', pss('-sha1'), true],
  ['RSA-PSS with SHA-384', pss('-sha384'), false],
  ['ECDSA with SHA-1', [...ec, '-sha1'], true],
  ['ECDSA with SHA-384', [...ec, '-sha384'], false],
  ['Ed25519', ['ed25519'], false],
  // SHA-224 with RSA, of which nobody makes certificates.
  ['1.2.840.113549.1.1.14', ['rsa:2048', '-sha224'], false],
])('a signature is told to be %s', (inWords, args, weak) => {
  makeCertificate(workspace, 'signed', 'anyone', '-newkey', ...args)
  expect(signatureOf(new X509Certificate(readFileSync(workspace.path('signed.pem'))))).toEqual({ inWords, weak })
})
