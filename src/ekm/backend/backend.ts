import {
  AdapterError,
  algorithmRow,
  type AdapterErrorCode,
  type KeyAdapter,
  type KeyDescription,
  type KeyRef,
  type WrapAlgorithm,
} from '../../../adapters/contract/index.ts'
import { Breaker } from './breaker.ts'
import type { Call } from './call.ts'
import { Capacity, type CapacityLimits, type Rejection } from './capacity.ts'
import type { BackendOperation, Flow } from './flow.ts'

/** What a backend said of a key. */
export interface Described {
  readonly description: KeyDescription
  /** On `performance.now()`'s clock: no request is refused for it later. */
  readonly until: number
}

/** Told of everything that a backend is asked. */
export interface BackendObserver {
  /** @param code `OK`, or the error's code */
  called(operation: BackendOperation, code: string, elapsedMs: number): void
  rejected(rejection: Rejection): void
  /** @param evidence what the probe came to for which it is taken for down; absent where it is up again */
  changed(evidence?: AdapterError): void
  /** Whether calls of `operation` with this key are answered in time, where that has changed. */
  keyChanged(operation: BackendOperation, ref: KeyRef, isAnswered: boolean): void
}

export interface BackendOptions extends CapacityLimits {
  readonly name: string
  readonly adapter: KeyAdapter
  /** How long a description may speak against a request before the backend is asked again, in milliseconds. */
  readonly keyCacheMs: number
  readonly observer: BackendObserver
}

const zero = (late: Uint8Array) => late.fill(0)

/**
 * One of the operator's backends: what it may be asked at a time, whether it is up, and what it lately said of its keys, so
 * that a wrap costs one trip and not two.
 */
export class Backend {
  readonly name: string
  readonly #adapter: KeyAdapter
  readonly #keyCacheMs: number
  readonly #observer: BackendObserver
  readonly #capacity: Capacity
  readonly #breaker: Breaker
  /** Only keys that the backend has are remembered, so the backend bounds its size. */
  readonly #descriptions = new Map<KeyRef, Described>()

  constructor({ name, adapter, keyCacheMs, observer, concurrency, queue }: BackendOptions) {
    this.name = name
    this.#adapter = adapter
    this.#keyCacheMs = keyCacheMs
    this.#observer = observer
    this.#capacity = new Capacity({ concurrency, queue }, (rejection) => observer.rejected(rejection))
    this.#breaker = new Breaker({
      // One that is still to be opened is known to be away.
      probe: async (context) => (adapter.away ? undefined : adapter.probe(context)),
      onChange: (evidence) => observer.changed(evidence),
    })
  }

  get product(): KeyAdapter['product'] {
    return this.#adapter.product
  }

  get status(): BackendStatus {
    const { away = false } = this.#adapter
    return {
      name: this.name,
      away,
      up: !away && !this.#breaker.isOpen,
      ready: !away && this.#breaker.isReady,
      running: this.#capacity.running,
      waiting: this.#capacity.waiting,
      connections: this.#adapter.connections ?? 0,
    }
  }

  /** The key's description as it was fetched last, if it was. */
  recall(ref: KeyRef): Described | undefined {
    return this.#descriptions.get(ref)
  }

  /** The key's description as the backend gives it now. */
  async describe(flow: Flow, call: Call): Promise<KeyDescription> {
    const { ref } = flow
    try {
      const description = await this.#ask(flow, call, false, () => this.#adapter.describe(ref, call))
      this.#descriptions.set(ref, { description, until: performance.now() + this.#keyCacheMs })
      return description
    } catch (error) {
      this.#descriptions.delete(ref)
      throw error
    }
  }

  /** The result is the caller's; `plaintext` stays the caller's to zero. */
  wrap(flow: Flow, algorithm: WrapAlgorithm, plaintext: Uint8Array, call: Call): Promise<Uint8Array> {
    // What needs no more than a public key says nothing of the backend.
    const isWork = algorithmRow(algorithm).kty === 'oct'
    return this.#ask(flow, call, isWork, () => this.#adapter.wrap(flow.ref, algorithm, plaintext, call), zero)
  }

  /** The result is a data key and the caller's to zero. */
  unwrap(flow: Flow, algorithm: WrapAlgorithm, ciphertext: Uint8Array, call: Call): Promise<Uint8Array> {
    return this.#ask(flow, call, true, () => this.#adapter.unwrap(flow.ref, algorithm, ciphertext, call), zero)
  }

  /** Waits, if the backend can tell, until it knows how it does what the key is for. */
  async prepare(ref: KeyRef, call: Call): Promise<void> {
    await call.run(Promise.resolve(this.#adapter.inspection?.ways(ref, call)))
  }

  /** Whether both have one adapter, so that a reference means the same key to both. */
  sharesAdapter(other: Backend): boolean {
    return this.#adapter === other.#adapter
  }

  /** Probes no more. The adapter is closed by whoever opened it. */
  stop(): void {
    this.#breaker.stop()
  }

  /** @param isWork whether nobody but the backend can do it, and not from memory */
  async #ask<T>(
    flow: Flow,
    call: Call,
    isWork: boolean,
    work: () => Promise<T>,
    discard?: (late: T) => void,
  ): Promise<T> {
    call.backend = this.name
    if (this.#adapter.away) throw new AdapterError('BACKEND_UNAVAILABLE', 'the backend was away at the start')
    this.#breaker.assertClosed()
    let start = performance.now()
    const turn = this.#capacity.enter(flow, call, start)
    if (turn !== undefined) {
      await turn
      start = performance.now()
    }
    let end: number | undefined
    // A call that was given up keeps its place until the backend has let go of it.
    const leave = () => {
      end = performance.now()
      this.#capacity.leave(flow)
    }
    let code: Outcome = 'OK'
    try {
      return await call.run(work(), discard, leave)
    } catch (error) {
      code = error instanceof AdapterError ? error.code : 'INTERNAL'
      throw error
    } finally {
      const now = end ?? performance.now()
      call.backendMs = (call.backendMs ?? 0) + now - start
      this.#observer.called(flow.operation, code, now - start)
      if (isWork && code === 'OK') this.#breaker.answered(now)
      this.#learn(flow, call, code, start, now)
    }
  }

  /** What a call that was asked at `start` says of its key, and whether it casts doubt on the backend. */
  #learn(flow: Flow, call: Call, code: Outcome, start: number, now: number): void {
    const wasStuck = flow.isStuck
    flow.ended()
    if (code === 'BACKEND_UNAVAILABLE') this.#breaker.doubt()
    else if (code === 'DEADLINE_EXCEEDED') {
      if (hadItsTime(call, start)) {
        flow.late(call, start, now)
        this.#breaker.doubt()
      }
    } else if (!saysNothing.has(code)) flow.answered(call, start, now)
    if (flow.isStuck !== wasStuck) this.#observer.keyChanged(flow.operation, flow.ref, wasStuck)
    this.#capacity.serve()
  }
}

type Outcome = AdapterErrorCode | 'OK' | 'INTERNAL'

/** Of the key: they are the adapter's or the gateway's own affairs. */
const saysNothing: ReadonlySet<Outcome> = new Set(['BACKEND_BUSY', 'CANCELLED', 'CLOSED', 'INTERNAL'])

/** Whether most of the call's time was the backend's: a client that sends its body slowly says nothing of the backend. */
const hadItsTime = (call: Call, start: number) => call.deadline - start >= (call.deadline - call.start) / 2

/** How a backend is doing. */
export interface BackendStatus {
  readonly name: string
  /** It was away when the gateway started, and is not open yet. */
  readonly away: boolean
  /** Whether requests reach it. */
  readonly up: boolean
  /** Whether it answered when it was last asked or probed. */
  readonly ready: boolean
  /** Calls under way, and calls that wait for their turn. */
  readonly running: number
  readonly waiting: number
  /** Sessions or connections that are open. */
  readonly connections: number
}
