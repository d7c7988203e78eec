// A minimal gateway: opens a token, prints the process id of its host, and makes one call. Arguments: module, token, PIN.
import { randomBytes } from 'node:crypto'
import { Secret } from '../../../dist/adapters/contract/index.js'
import { open } from '../../../dist/adapters/pkcs11/index.js'

const [, , module = '', label = '', pinText = ''] = process.argv
const pin = new Secret(Buffer.from(pinText))
const adapter = await open({ module, token: { label }, pin, sessions: 1, callTimeoutMs: 60_000 }, () => undefined)
process.stdout.write(`${adapter.hosts[0]}\n`)
const context = { signal: AbortSignal.timeout(10_000), deadline: performance.now() + 10_000, correlationId: 'test' }
await adapter.wrap('aes', 'A256KW', randomBytes(32), context)
