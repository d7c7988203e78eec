import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'

/**
 * An authenticated client that sends a steady number of requests a second, whatever it gets back, from a process of its
 * own: node steady-client.mjs DIRECTORY PORT RATE SECONDS. DIRECTORY has client.pem, client.key and server-ca.pem. It
 * prints JSON: the duration of each request in milliseconds, the failures, and the time to the first answer of some
 * further connections.
 */
const [, , directory, port, rate, seconds] = process.argv
const read = (name) => readFileSync(`${directory}/${name}`)
const tls = { cert: read('client.pem'), key: read('client.key'), ca: read('server-ca.pem') }
const agent = new Agent({ ...tls, keepAlive: true, maxSockets: 8 })
const context = { request_id: 'r', correlation_id: 'c', pool_name: 'p' }
const body = JSON.stringify({
  request_context: context,
  alg: 'A256KW',
  value: Buffer.alloc(32, 1).toString('base64url'),
})
const times = []
const connections = []
const failures = []

function send(options, start, into) {
  return new Promise((resolve) => {
    const fail = (what) => {
      failures.push(String(what))
      resolve()
    }
    const outgoing = request({
      host: 'localhost',
      port: Number(port),
      method: 'POST',
      path: '/azureekm/contoso/aes-1/wrapkey?api-version=0.1-preview',
      headers: { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) },
      ...options,
    })
    outgoing.on('error', (error) => fail(error.code))
    outgoing.on('response', (incoming) => {
      incoming.resume()
      incoming.on('end', () => {
        if (incoming.statusCode !== 200) return fail(incoming.statusCode)
        into.push(performance.now() - start)
        resolve()
      })
    })
    outgoing.end(body)
  })
}

// All connections are open before the measurement begins.
await Promise.all(Array.from({ length: 16 }, () => send({ agent }, performance.now(), [])))
const waiting = []
const started = performance.now()
const end = Number(rate) * Number(seconds)
await new Promise((resolve) => {
  let sent = 0
  let opened = 0
  const timer = setInterval(() => {
    const elapsed = performance.now() - started
    for (; sent < end && sent < (elapsed / 1000) * Number(rate); sent += 1) {
      waiting.push(send({ agent }, performance.now(), times))
    }
    for (; opened < elapsed / 250; opened += 1)
      waiting.push(send({ agent: false, ...tls }, performance.now(), connections))
    if (sent < end) return
    clearInterval(timer)
    resolve()
  }, 2)
})
await Promise.all(waiting)
agent.destroy()
process.stdout.write(JSON.stringify({ times, connections, failures }), () => process.exit(0))
