import type { Look } from '../../src/service/admin/look.ts'
import { backendOf, lookOf, NIGHT, poolOf, spanOf } from '../admin/look.ts'

/** An hour that ends with an outage of the key manager, which answers slowly first and then not at all. */
const slots = Array.from({ length: 120 }, (_, slot) => {
  if (slot < 6) return spanOf()
  if (slot >= 114) return spanOf({ 9: 8, 10: 4 }, { failed: 12 })
  const slow = slot > 100 ? { 6: slot - 98, 7: slot % 4 } : {}
  return spanOf({ 1: 22 + (slot % 7), 2: 6, 3: slot % 3, 5: slot % 29 === 0 ? 2 : 0, ...slow })
})
const calm = Array.from({ length: 120 }, (_, slot) =>
  slot < 6 ? spanOf() : spanOf({ 2: 20 + (slot % 5), 3: 8, 4: slot % 11 === 0 ? 2 : 0, 6: slot % 37 === 0 ? 1 : 0 }),
)
const way = (algorithm: string, how: string) => ({
  algorithm,
  way: how,
  undecided: false,
  exported: false,
  since: NIGHT - 4 * 3600e3,
})

const failures: [string, number][] = [
  ['BACKEND_UNAVAILABLE', 58],
  ['DEADLINE_EXCEEDED', 14],
]

/** The night that docs/images/status.png shows. */
export const nightLook = (): Look =>
  lookOf({
    pools: [
      poolOf({
        name: 'contoso',
        slots: calm,
        listed: 2,
        keys: [
          {
            name: 'payments-2027',
            kind: 'AES 256',
            usable: true,
            standby: 'same',
            ways: [way('A256KW', 'CKM_AES_KEY_WRAP'), way('A256KWP', 'CKM_AES_KEY_WRAP_KWP')],
          },
          {
            name: 'archive',
            kind: 'RSA 3072',
            usable: true,
            ways: [way('RSA-OAEP-256', 'CKM_RSA_PKCS_OAEP, SHA-256')],
          },
        ],
      }),
      poolOf({
        name: 'fabrikam',
        backend: 'kms',
        ready: false,
        reason: 'the backend kms is not ready',
        sinceCall: 9000,
        slots,
        minute: spanOf({ 9: 16, 10: 8 }, { failed: 24 }),
        fiveMinutes: spanOf({ 1: 90, 6: 12, 9: 48, 10: 24 }, { failed: 72, reasons: failures }),
        hour: spanOf(
          { 1: 2700, 6: 60, 9: 48, 10: 24 },
          {
            failed: 72,
            reasons: [...failures, ['KEY_DISABLED', 3]],
          },
        ),
        clients: [{ client: 'fabrikam.managedhsmclient.azure.net', days: 23 }],
        keys: [
          {
            name: 'kek-1',
            kind: 'AES 256',
            usable: true,
            ways: [way('A256KW', 'AESKeyWrapPadding off, on the server')],
          },
        ],
      }),
    ],
    backends: [
      backendOf(),
      backendOf({
        name: 'kms',
        kind: 'kmip',
        product: 'Cosmian, KMIP key manager',
        up: false,
        ready: false,
        connections: 0,
        downSince: NIGHT - 180_000,
        command:
          'openssl s_client -connect 10.20.0.7:5696 -CAfile ca.pem -cert certificate.pem -key key.pem </dev/null',
        events: [
          {
            at: NIGHT - 180_000,
            level: 'error',
            event: 'backend_down',
            text: 'reason: BACKEND_UNAVAILABLE, detail: no server can be used',
            times: 1,
          },
          {
            at: NIGHT - 181_000,
            level: 'error',
            event: 'kmip_server_unreachable',
            text: 'server: 10.20.0.7:5696, code: ECONNREFUSED',
            times: 2,
          },
        ],
      }),
    ],
  })
