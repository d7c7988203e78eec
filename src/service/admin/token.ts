import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Secret } from '../../../adapters/contract/index.ts'
import { networkOf } from '../../tls/network.ts'

export const tokenRefusals = ['missing', 'wrong', 'too_many'] as const
/** Why somebody is not answered: showed no token, a wrong one, or too many wrong ones lately. */
export type TokenRefusal = (typeof tokenRefusals)[number]

/** Wrong tokens of one network: so many at once, and then one each time that this has passed. */
const ATTEMPTS = 10
const ATTEMPT_MS = 6000
/** Beyond it the network that failed longest ago is forgotten. */
const MAX_NETWORKS = 1024

/** How much of its attempts a network has used up. */
interface Failures {
  used: number
  at: number
}

/**
 * Lets in who shows the token: as `Authorization: Bearer`, or as the password of HTTP Basic, for browsers. A network that
 * showed too many wrong ones is refused, whatever it shows, until its next attempt is due.
 */
export class TokenGate {
  readonly #token: () => Secret | undefined
  readonly #onRefusal: (refusal: TokenRefusal, address: string) => void
  readonly #now: () => number
  /** Of this process alone: digests have one length, and tell nothing of what they were made of. */
  readonly #key = randomBytes(32)
  readonly #failures = new Map<string, Failures>()

  /** @param token what has to be shown now; undefined where nothing has to */
  constructor(
    token: () => Secret | undefined,
    onRefusal: (refusal: TokenRefusal, address: string) => void = () => undefined,
    now: () => number = () => performance.now(),
  ) {
    this.#token = token
    this.#onRefusal = onRefusal
    this.#now = now
  }

  /** `undefined` for who is let in. */
  refusalOf({ headers, socket }: IncomingMessage): TokenRefusal | undefined {
    const token = this.#token()
    if (token === undefined) return undefined
    const address = socket.remoteAddress ?? ''
    const refusal = this.#judge(token, shownIn(headers.authorization), networkOf(address))
    if (refusal !== undefined) this.#onRefusal(refusal, address)
    return refusal
  }

  #judge(token: Secret, shown: Buffer | undefined, network: string): TokenRefusal | undefined {
    if (shown === undefined) return 'missing'
    if (this.#used(network) > ATTEMPTS - 1) return 'too_many'
    const bytes = token.reveal()
    const isRight = timingSafeEqual(this.#digest(shown), this.#digest(bytes))
    bytes.fill(0)
    shown.fill(0)
    if (isRight) return undefined
    this.#failed(network)
    return 'wrong'
  }

  #digest(bytes: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(bytes).digest()
  }

  #used(network: string): number {
    const failures = this.#failures.get(network)
    return failures === undefined ? 0 : Math.max(0, failures.used - (this.#now() - failures.at) / ATTEMPT_MS)
  }

  #failed(network: string): void {
    const used = this.#used(network) + 1
    this.#failures.delete(network)
    const [oldest] = this.#failures.keys()
    if (this.#failures.size === MAX_NETWORKS && oldest !== undefined) this.#failures.delete(oldest)
    this.#failures.set(network, { used, at: this.#now() })
  }
}

/** The token in an Authorization header; `undefined` where the header has none. */
function shownIn(authorization: string | undefined): Buffer | undefined {
  const [, scheme = '', credentials = ''] = /^(bearer|basic) +(\S+)$/i.exec(authorization ?? '') ?? []
  if (scheme === '') return undefined
  if (scheme.toLowerCase() === 'bearer') return Buffer.from(credentials, 'latin1')
  const pair = Buffer.from(credentials, 'base64')
  return pair.subarray(pair.indexOf(0x3a) + 1)
}
