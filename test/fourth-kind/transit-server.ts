import { createPublicKey, generateKeyPair, randomBytes, webcrypto } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import type { RsaPrivateJwk } from '../contract/harness.ts'

const OAEP = { name: 'RSA-OAEP', hash: 'SHA-256' } as const

/** A key in the server, with its one version. */
interface TransitKey {
  readonly type: 'aes256-gcm96' | `rsa-${number}`
  readonly created: Date
  /** The private key; absent for AES keys, which the server cannot use. */
  readonly rsa?: RsaKey
}

interface RsaKey {
  /** PEM. */
  readonly publicKey: string
  readonly pair: Promise<{ readonly open: webcrypto.CryptoKey; readonly seal: webcrypto.CryptoKey }>
}

interface Answer {
  readonly status: number
  readonly body?: object
}

const failed = (status: number, ...errors: string[]): Answer => ({ status, body: { errors } })
const found = (data: object): Answer => ({ status: 200, body: { data } })

const newToken = () => `hvs.${randomBytes(18).toString('base64url')}`

/** A key service in the manner of Vault's Transit engine, with RSA keys and OAEP with SHA-256. */
export class TransitServer {
  token = newToken()
  /** Whether the server answers that it is sealed. */
  sealed = false
  /** Whether the server refuses the token. */
  revoked = false
  readonly #keys = new Map<string, TransitKey>()
  readonly #server = createServer((request, response) => void this.#serve(request, response))

  /** Takes another token from now on. */
  renewToken(): void {
    this.token = newToken()
    this.revoked = false
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  get address(): string {
    const address = this.#server.address()
    if (typeof address !== 'object' || address === null) throw new Error('the server does not listen')
    return `http://127.0.0.1:${address.port}`
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  /** Adds an RSA key, or an AES key, whose bytes nobody needs. */
  add(name: string, jwk?: RsaPrivateJwk): void {
    if (jwk === undefined) this.#keys.set(name, { type: 'aes256-gcm96', created: new Date() })
    else {
      const bits = 8 * Buffer.from(jwk.n, 'base64url').length
      const publicKey = createPublicKey({ key: publicPart(jwk), format: 'jwk' }).export({ format: 'pem', type: 'spki' })
      const rsa = { publicKey: publicKey.toString(), pair: importPair(jwk) }
      this.#keys.set(name, { type: `rsa-${bits}`, created: new Date(), rsa })
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request)
    const { status, body: answer } = await this.#answer(request, body).catch((error: unknown) =>
      failed(500, String(error)),
    )
    response.writeHead(status, { 'content-type': 'application/json' }).end(answer && JSON.stringify(answer))
  }

  async #answer({ method = '', url = '', headers }: IncomingMessage, body: Buffer): Promise<Answer> {
    // The health call needs no token, as in Vault.
    if (url === '/v1/sys/health') return { status: this.sealed ? 503 : 200, body: { sealed: this.sealed } }
    if (this.sealed) return failed(503, 'Vault is sealed')
    if (this.revoked || headers['x-vault-token'] !== this.token) return failed(403, 'permission denied')
    if (url === '/v1/auth/token/lookup-self') return found({ display_name: 'token-ekm-gateway' })
    if (url === '/v1/transit/keys?list=true') return found({ keys: [...this.#keys.keys()] })
    const [, operation, encoded = ''] = /^\/v1\/transit\/(keys|encrypt|decrypt)\/([^/?]+)$/.exec(url) ?? []
    if (operation === undefined) return failed(404)
    const name = decodeURIComponent(encoded)
    const given = method === 'POST' ? (JSON.parse(body.toString()) as Readonly<Record<string, unknown>>) : {}
    if (operation === 'keys' && method === 'POST') return this.#create(name, given['type'])
    const key = this.#keys.get(name)
    if (key === undefined) return failed(404)
    if (operation === 'keys') return found(described(name, key))
    if (key.rsa === undefined) return failed(400, 'this stub uses RSA keys only')
    const { open, seal } = await key.rsa.pair
    return operation === 'encrypt' ? encrypt(seal, given['plaintext']) : decrypt(open, given['ciphertext'])
  }

  async #create(name: string, type: unknown): Promise<Answer> {
    const [, bits] = /^rsa-(2048|3072|4096)$/.exec(String(type)) ?? []
    if (bits === undefined) return failed(400, `unknown key type ${String(type)}`)
    // As in Vault, an existing key does not change.
    if (!this.#keys.has(name)) {
      const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: Number(bits) })
      this.add(name, privateKey.export({ format: 'jwk' }) as RsaPrivateJwk)
    }
    return { status: 204 }
  }
}

const publicPart = ({ kty, n, e }: RsaPrivateJwk) => ({ kty, n, e })

async function importPair(jwk: RsaPrivateJwk) {
  const [open, seal] = await Promise.all([
    webcrypto.subtle.importKey('jwk', jwk, OAEP, false, ['decrypt']),
    webcrypto.subtle.importKey('jwk', publicPart(jwk), OAEP, false, ['encrypt']),
  ])
  return { open, seal }
}

const described = (name: string, { type, created, rsa }: TransitKey) => ({
  name,
  type,
  keys: { '1': { creation_time: created.toISOString(), ...(rsa && { public_key: rsa.publicKey }) } },
})

async function encrypt(key: webcrypto.CryptoKey, plaintext: unknown): Promise<Answer> {
  const sealed = await webcrypto.subtle.encrypt(OAEP, key, Buffer.from(String(plaintext), 'base64'))
  return found({ ciphertext: `vault:v1:${Buffer.from(sealed).toString('base64')}` })
}

async function decrypt(key: webcrypto.CryptoKey, ciphertext: unknown): Promise<Answer> {
  const [, value = ''] = /^vault:v1:(.*)$/.exec(String(ciphertext)) ?? []
  try {
    const opened = await webcrypto.subtle.decrypt(OAEP, key, Buffer.from(value, 'base64'))
    return found({ plaintext: Buffer.from(opened).toString('base64') })
  } catch {
    return failed(400, 'the ciphertext cannot be decrypted')
  }
}
