import { connect } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { connect as connectTls } from 'node:tls'

/**
 * A client in a thread of its own. It reports its connection, then sends a request, and reports the answer's first
 * line.
 */
const { port, tls, request, isConnected } = workerData
const below = connect(port, '127.0.0.1', () => {
  Atomics.store(isConnected, 0, 1)
  Atomics.notify(isConnected, 0)
})
below.on('error', ({ code }) => parentPort.postMessage(code))
const socket = connectTls({ ...tls, socket: below, servername: 'localhost' }, () => socket.write(request))
socket.once('data', (chunk) => parentPort.postMessage(chunk.toString('latin1').split('\r\n')[0]))
socket.on('error', ({ code }) => parentPort.postMessage(code))
