import { Queue } from '../base/queue.ts'
import type { Debts } from './debts.ts'
import { LoopTime } from './loop-time.ts'
import type { Stranger } from './stranger.ts'

/** Milliseconds between two looks at the strangers. */
const INTERVAL_MS = 20
/** The largest share of the event loop that looking may take. With many strangers, looks are less frequent. */
const LOOKING = 0.02
/**
 * The most milliseconds between two looks. A look that had to wait for a core seems to have taken long. Without a bound,
 * strangers would go unwatched for fifty times as long as the process waited.
 */
const MAX_INTERVAL_MS = 1000
/** Milliseconds of the event loop after which the next look is at once. */
const URGENT_MS = 5

/**
 * The highest cost of one byte, in milliseconds of the event loop. The most expensive bytes that we know, of RSA-3072
 * certificates with a huge exponent, take 8 µs each. A longer delay was not the stranger's fault.
 */
const BYTE_MS = 0.01

/** The bytes of a stranger that has left but is still to be charged. */
interface Left {
  readonly network: string
  readonly bytes: number
}

/**
 * Watches what strangers send. OpenSSL handles key updates, and a certificate chain whose client sends nothing after
 * it, without a single event: only the bytes show them. A stranger that has sent too many bytes is cut. If the event
 * loop was held up, the networks of those who sent something meanwhile are charged for it, each in proportion to its
 * bytes.
 */
export class Watch {
  readonly #debts: Debts
  readonly #onTooMany: (stranger: Stranger) => void
  readonly #time = new LoopTime()
  readonly #strangers = new Queue<Stranger>()
  #left: Left[] = []
  #timer: NodeJS.Timeout | undefined

  /** @param onTooMany called with each stranger that has sent too many bytes */
  constructor(debts: Debts, onTooMany: (stranger: Stranger) => void) {
    this.#debts = debts
    this.#onTooMany = onTooMany
  }

  add(stranger: Stranger): void {
    stranger.charged = 0
    stranger.seenBytes = stranger.bytesRead
    stranger.watched = this.#strangers.join(stranger)
    if (this.#timer !== undefined) return
    this.#time.forget()
    this.#wait(INTERVAL_MS)
  }

  /** For a client that is no longer a stranger: its network is not charged for it. */
  acquit(stranger: Stranger): void {
    if (!this.#leave(stranger)) return
    this.#debts.refund(stranger.source.network, stranger.charged)
  }

  /** For a connection that ends: its last bytes are charged at the next look. */
  remove(stranger: Stranger): void {
    if (!this.#leave(stranger)) return
    const bytes = stranger.bytesRead - stranger.seenBytes
    if (bytes > 0) this.#left.push({ network: stranger.source.network, bytes })
  }

  /** Tells it that a request begins, so that the times of ordinary requests do not add up to a long one. */
  mark(): void {
    if (this.#timer !== undefined) this.#time.mark()
  }

  /** Called before a network's next handshake: whether it must wait may have changed since the last look. */
  settle(): void {
    this.mark()
    if (this.#time.excess > URGENT_MS) this.#look()
  }

  /** The operator causes a delay by a reload, so nobody is charged. */
  forget(): void {
    this.#time.forget()
  }

  #leave(stranger: Stranger): boolean {
    const { watched } = stranger
    if (watched === undefined) return false
    stranger.watched = undefined
    return this.#strangers.leave(watched)
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const start = performance.now()
      this.#time.mark()
      this.#look()
      if (this.#strangers.size > 0) this.#wait(intervalAfter(performance.now() - start))
    }, ms)
    this.#timer.unref()
  }

  #look(): void {
    const { excess } = this.#time
    const strangers = this.#strangers.values()
    const active = strangers.filter((stranger) => stranger.bytesRead > stranger.seenBytes)
    if (excess > 0) this.#charge(active, excess)
    this.#left = []
    for (const stranger of active) {
      stranger.seenBytes = stranger.bytesRead
      if (stranger.seenBytes > stranger.maxBytes || this.#isSpent(stranger)) this.#onTooMany(stranger)
    }
    this.#time.forget()
  }

  /** Whether its handshake is done and its network owes more than its connections may go on costing. */
  #isSpent({ heard, network }: Stranger): boolean {
    return heard !== undefined && this.#debts.mustWait(network, performance.now())
  }

  #charge(active: readonly Stranger[], ms: number): void {
    const now = performance.now()
    const sent = (stranger: Stranger) => stranger.bytesRead - stranger.seenBytes
    const total = sum(active.map(sent)) + sum(this.#left.map(({ bytes }) => bytes))
    const perByte = Math.min(BYTE_MS, ms / total)
    for (const { network, bytes } of this.#left) this.#debts.charge(network, bytes * perByte, now)
    for (const stranger of active) {
      const part = sent(stranger) * perByte
      this.#debts.charge(stranger.source.network, part, now)
      stranger.charged += part
    }
  }
}

const intervalAfter = (lookMs: number): number => Math.min(MAX_INTERVAL_MS, Math.max(INTERVAL_MS, lookMs / LOOKING))

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
