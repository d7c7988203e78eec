import * as v from 'valibot'
import { about, integer, listOf, mapping, secret, text, type References } from '../settings/fields.ts'

/** The section `admin`: the admin port, and who may ask it. */
export const admin = (references: References) =>
  mapping({
    host: v.optional(
      about('The address to listen on. The admin port has no encryption; beyond loopback, set token.', text()),
      '127.0.0.1',
    ),
    port: v.optional(about('The TCP port to listen on; 0 lets the system choose.', integer(0, 65535)), 9464),
    hosts: v.optional(
      about(
        'More names that a Host header may have at the admin port, besides its address, localhost and admin.host. Any other is refused.',
        listOf(hostName()),
        ['ekm-gateway.monitoring.svc'],
      ),
      [],
    ),
    token: v.exactOptional(
      about(
        'What whoever asks has to show, as a Bearer token or as the password of HTTP Basic. /healthz and /readyz are answered without it.',
        adminToken(references),
        { file: 'secrets/admin-token' },
      ),
    ),
  })

const TOKEN_RULE = 'must hold 16 to 1024 characters of visible ASCII, without spaces'

/** What an Authorization header can carry, and nobody guesses. */
const adminToken = (references: References) =>
  v.pipe(
    secret(references),
    v.check((token) => {
      const bytes = token.reveal()
      const isUsable = bytes.length >= 16 && bytes.length <= 1024 && bytes.every((byte) => byte > 0x20 && byte < 0x7f)
      bytes.fill(0)
      return isUsable
    }, TOKEN_RULE),
  )

const hostName = () =>
  v.pipe(
    v.string(HOST_NAME_RULE),
    v.regex(/^(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$/, HOST_NAME_RULE),
  )
const HOST_NAME_RULE = 'must be a host name, without a port'
