/**
 * A minimal gateway: opens a token, prints the process id of its host, and makes one call. Arguments: module, token.
 */
import { randomBytes } from 'node:crypto'
import { Secret } from '../../../adapters/contract/index.ts'
import { open } from '../../../adapters/pkcs11/index.ts'
import { context, ref } from './harness.ts'
import { PIN } from './softhsm.ts'

const [, , module = '', label = ''] = process.argv
const pin = new Secret(Buffer.from(PIN))
const adapter = await open({ module, token: { label }, pin, sessions: 1, callTimeoutMs: 60_000 }, () => undefined)
process.stdout.write(`${adapter.hosts[0]}\n`)
await adapter.wrap(ref('aes'), 'A256KW', randomBytes(32), context())
