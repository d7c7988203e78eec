import { expect, it } from 'vitest'
import { isReport } from '../../src/backends/incidents.ts'
import { isLoginRefused } from '../../src/backends/index.ts'
import { kmip } from '../../src/backends/kmip.ts'
import { pkcs11 } from '../../src/backends/pkcs11.ts'
import { software } from '../../src/backends/software.ts'

const kinds = { software, pkcs11, kmip }

it.each([
  ['pkcs11', 'hsm_host_lost', { pid: 1, reason: 'SIGSEGV' }, ['hostLost']],
  ['pkcs11', 'hsm_login_refused', { reason: 'CKR_PIN_INCORRECT' }, ['loginRefused']],
  ['pkcs11', 'hsm_token_changed', { token: 'ekm', serial: '2', before: '1' }, ['tokenChanged']],
  ['pkcs11', 'hsm_back', { token: 'ekm', serial: '1' }, []],
  ['kmip', 'kmip_server_unreachable', { server: 'kms:5696', code: 'AUTHENTICATION_NOT_SUCCESSFUL' }, ['loginRefused']],
  ['kmip', 'kmip_server_unreachable', { server: 'kms:5696', code: 'ECONNREFUSED' }, []],
  ['software', 'key_file_refused', { key: 'aes' }, []],
] as const)('what a backend of the kind %s reports by %s %o is counted as: %j', (kind, event, fields, counted) => {
  const { hostLost, tokenChanged, loginRefused } = kinds[kind].incidents
  const found = Object.entries({ hostLost, tokenChanged, loginRefused }).filter(([, reported]) =>
    isReport(reported, event, fields),
  )
  expect(found.map(([incident]) => incident)).toEqual(counted)
})

it.each([
  ['LOGIN_REFUSED', true],
  ['KMIP_LOGIN_REFUSED', true],
  ['KMIP_TLS_REFUSED', false],
  ['TOKEN_UNUSABLE', false],
])('a start that ends with %s has its login refused: %s', (code, isRefused) => {
  expect(isLoginRefused(code)).toBe(isRefused)
})
