import { Duplex } from 'node:stream'
import { TokenCalls, type CryptCall } from '../../../adapters/pkcs11/keys/token-calls.ts'
import type { Way } from '../../../adapters/pkcs11/cryptoki/way.ts'
import type { StartListener } from '../../../adapters/pkcs11/supervisor/starter.ts'
import { Supervisor } from '../../../adapters/pkcs11/supervisor/supervisor.ts'
import { decodeCrypt, encodeCrypt, type CryptMessage } from '../../../adapters/pkcs11/wire/crypt-message.ts'
import { Answer, Ask, FrameReader, FrameWriter } from '../../../adapters/pkcs11/wire/frames.ts'
import { encodeMessage, type TokenFacts } from '../../../adapters/pkcs11/wire/host-protocol.ts'
import { SimulatedTime } from './simulated-time.ts'

/** By what a call does. Several values share the steps of a key wrap. */
const ways = {
  'key wrap': { path: 'encrypt', mechanism: 1, scheme: 'KW' },
  'key wrap in steps': { path: 'blocks', mechanism: 2, scheme: 'KW' },
  RSA: { path: 'encrypt', mechanism: 3, scheme: 'SHA-256' },
} as const satisfies Record<string, Way>

const facts: TokenFacts = {
  label: 'simulated',
  serial: '1',
  manufacturer: 'none',
  model: 'none',
  slot: 1n,
  library: 'none',
  mechanisms: [],
}

/** Milliseconds. */
const TIMES = { start: 20, open: 100, usual: 0.3, transport: 0.05 }
/** A pid that no process has. */
const PID = 2 ** 30

interface Request {
  readonly id: number
  readonly kind: number
  readonly message: CryptMessage | undefined
}

/** A host whose calls take as long as the test says, and are right. */
class SimulatedHost extends Duplex {
  readonly #token: SimulatedToken
  readonly #reader = new FrameReader()
  readonly #queue: Request[] = []
  #busy = false

  constructor(token: SimulatedToken) {
    super()
    this.#token = token
  }

  override _read(): void {
    // Answers are pushed.
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#reader.push(bytes, ({ id, kind, payload }) => {
      this.#queue.push({ id, kind, message: kind === Ask.crypt ? decodeCrypt(payload) : undefined })
    })
    done()
    setTimeout(() => this.#work(), TIMES.transport)
  }

  #work(): void {
    const first = this.#queue.shift()
    if (first === undefined) return
    if (this.#busy || this.destroyed) return void this.#queue.unshift(first)
    this.#busy = true
    const together = [first, ...this.#sharing(first)]
    const leftMs = this.#token.leftMs(first.message, first.kind)
    const isWhole = leftMs <= (first.message?.way.path === 'blocks' ? first.message.sliceMs : Infinity)
    const ms = isWhole ? leftMs : (first.message?.sliceMs ?? leftMs)
    if (ms === Infinity) return
    setTimeout(() => {
      this.#busy = false
      for (const request of together) this.#answer(request, isWhole)
      this.#work()
    }, ms)
  }

  /** As the real host does: docs/pkcs11.md. */
  #sharing({ message }: Request): Request[] {
    if (message?.way.path !== 'blocks') return []
    const end = this.#queue.findIndex(
      ({ message: next }) => next?.selector !== message.selector || next.direction !== message.direction,
    )
    return this.#queue.splice(0, end < 0 ? Infinity : end)
  }

  #answer({ id, kind, message }: Request, isWhole: boolean): void {
    if (!isWhole && message !== undefined) {
      this.#send(id, Answer.unfinished, encodeCrypt({ ...message, step: message.step + message.sliceMs }))
    } else this.#send(id, Answer.result, kind === Ask.open ? encodeMessage(facts) : new Uint8Array(1))
  }

  #send(id: number, kind: number, payload: Uint8Array): void {
    const frames = new FrameWriter()
    frames.add({ id, kind, payload })
    if (!this.destroyed) this.push(Buffer.from(frames.take()))
  }
}

/** Callers of one kind of call. Each makes its next call after a pause. */
export interface Load {
  /** Milliseconds of each call that was answered. */
  readonly times: number[]
  /** The longest call, also one that is not answered yet. */
  longest(): number
  reset(): void
}

/**
 * A token that takes as long as the test says, with the real supervisor of its hosts, in simulated time. On a real one, a
 * test shows on a busy machine how busy the machine is.
 */
export class SimulatedToken {
  readonly time = new SimulatedTime()
  /** Milliseconds of each call, by `KEY` or `KEY/DIRECTION`. */
  readonly ms: Record<string, number>
  #supervisor: Supervisor | undefined
  #calls: TokenCalls | undefined
  #isOver = false

  private constructor(ms: Record<string, number>) {
    this.ms = ms
  }

  /** Does `work` with a token that is open in this many sessions. */
  static async with(
    sessions: number,
    ms: Record<string, number>,
    work: (token: SimulatedToken) => Promise<void>,
  ): Promise<void> {
    const token = new SimulatedToken(ms)
    try {
      await token.#open(sessions)
      await work(token)
    } finally {
      await token.#close()
    }
  }

  call(key: string, more: Partial<CryptCall> & { readonly does?: keyof typeof ways } = {}): Promise<Uint8Array> {
    const { does = 'key wrap', ...rest } = more
    if (this.#calls === undefined) throw new Error('the token is not open')
    return this.#calls.crypt({
      selector: key,
      way: ways[does],
      direction: 'wrap',
      data: new Uint8Array(8),
      witness: undefined,
      ...rest,
    })
  }

  load(callers: number, pauseMs: number, ...[key, more]: Parameters<SimulatedToken['call']>): Load {
    const times: number[] = []
    const began = new Set<{ at: number }>()
    for (let caller = 0; caller < callers; caller += 1)
      void this.#loop(pauseMs, times, began, () => this.call(key, more))
    return {
      times,
      longest: () => Math.max(0, ...times, ...[...began].map(({ at }) => this.time.now - at)),
      reset: () => void times.splice(0),
    }
  }

  pass(ms: number): Promise<void> {
    return this.time.pass(ms)
  }

  /** Has each call with `key` take as long as `ms` says. */
  take(key: string, ms: () => number): void {
    Object.defineProperty(this.ms, key, { get: ms, configurable: true })
  }

  leftMs(message: CryptMessage | undefined, kind: number): number {
    if (message === undefined) return kind === Ask.open ? TIMES.open : TIMES.usual
    const { selector, direction, step } = message
    return (this.ms[`${selector}/${direction}`] ?? this.ms[selector] ?? TIMES.usual) - step
  }

  async #loop(
    pauseMs: number,
    times: number[],
    began: Set<{ at: number }>,
    call: () => Promise<unknown>,
  ): Promise<void> {
    while (!this.#isOver) {
      const mine = { at: this.time.now }
      began.add(mine)
      const isAnswered = await call().then(
        () => true,
        () => false,
      )
      began.delete(mine)
      if (isAnswered) times.push(this.time.now - mine.at)
      await this.time.sleep(pauseMs)
    }
  }

  async #open(sessions: number): Promise<void> {
    const starters = {
      start: (_environment: NodeJS.ProcessEnv, listener: StartListener) => {
        const host = new SimulatedHost(this)
        setTimeout(() => listener.started(PID, host), TIMES.start)
        return () => void host.destroy()
      },
      close: () => undefined,
    }
    const open = { binding: 'none', module: 'none', token: {}, readWrite: false }
    const opening = Supervisor.open({ open, pin: undefined, callTimeoutMs: 1000, starters }, () => undefined)
    await this.pass(1000)
    this.#supervisor = await opening
    this.#supervisor.grow(sessions)
    await this.pass(1000)
    if (this.#supervisor.pids.length !== sessions) throw new Error('the sessions are not open')
    this.#calls = new TokenCalls(this.#supervisor)
  }

  async #close(): Promise<void> {
    this.#isOver = true
    const closing = this.#supervisor?.close()
    await this.pass(5000)
    this.time.restore()
    await closing
  }
}
