import {
  AdapterError,
  type KeyAdapter,
  type KeyDescription,
  type KeyRef,
  type WrapAlgorithm,
} from '../../adapters/contract/index.ts'
import { Breaker } from './breaker.ts'
import type { Call } from './call.ts'
import { Capacity, type CapacityLimits, type Lane, type Rejection } from './capacity.ts'

export type BackendOperation = 'describe' | 'wrap' | 'unwrap'

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
  changed(isUp: boolean): void
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
      probe: (context) => adapter.probe(context),
      onChange: (isUp) => observer.changed(isUp),
    })
  }

  get product(): KeyAdapter['product'] {
    return this.#adapter.product
  }

  get status(): BackendStatus {
    return {
      name: this.name,
      up: !this.#breaker.isOpen,
      ready: this.#breaker.isReady,
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
  async describe(ref: KeyRef, lane: Lane, call: Call): Promise<KeyDescription> {
    try {
      const description = await this.#ask('describe', lane, call, () => this.#adapter.describe(ref, call))
      this.#descriptions.set(ref, { description, until: performance.now() + this.#keyCacheMs })
      return description
    } catch (error) {
      this.#descriptions.delete(ref)
      throw error
    }
  }

  /** The result is the caller's; `plaintext` stays the caller's to zero. */
  wrap(ref: KeyRef, lane: Lane, algorithm: WrapAlgorithm, plaintext: Uint8Array, call: Call): Promise<Uint8Array> {
    return this.#ask('wrap', lane, call, () => this.#adapter.wrap(ref, algorithm, plaintext, call), zero)
  }

  /** The result is a data key and the caller's to zero. */
  unwrap(ref: KeyRef, lane: Lane, algorithm: WrapAlgorithm, ciphertext: Uint8Array, call: Call): Promise<Uint8Array> {
    return this.#ask('unwrap', lane, call, () => this.#adapter.unwrap(ref, algorithm, ciphertext, call), zero)
  }

  /** Whether both have one adapter, so that a reference means the same key to both. */
  sharesAdapter(other: Backend): boolean {
    return this.#adapter === other.#adapter
  }

  /** Probes no more. The adapter is closed by whoever opened it. */
  stop(): void {
    this.#breaker.stop()
  }

  async #ask<T>(
    operation: BackendOperation,
    lane: Lane,
    call: Call,
    work: () => Promise<T>,
    discard?: (late: T) => void,
  ): Promise<T> {
    call.backend = this.name
    this.#breaker.assertClosed()
    let start = performance.now()
    const turn = this.#capacity.enter(lane, call, start)
    if (turn !== undefined) {
      await turn
      start = performance.now()
    }
    let end: number | undefined
    // A call that was given up keeps its place until the backend has let go of it.
    const leave = () => {
      end = performance.now()
      this.#capacity.leave(lane, end - start)
    }
    const tell = (code: string, now: number) => {
      const elapsedMs = now - start
      call.backendMs = (call.backendMs ?? 0) + elapsedMs
      this.#observer.called(operation, code, elapsedMs)
    }
    try {
      const result = await call.run(work(), discard, leave)
      const now = end ?? performance.now()
      this.#breaker.note(undefined, now)
      tell('OK', now)
      return result
    } catch (error) {
      const now = end ?? performance.now()
      if (!isLate(error) || hadItsTime(call, start)) this.#breaker.note(error, now)
      tell(error instanceof AdapterError ? error.code : 'INTERNAL', now)
      throw error
    }
  }
}

const isLate = (error: unknown) => error instanceof AdapterError && error.code === 'DEADLINE_EXCEEDED'

/** Whether most of the call's time was the backend's: a client that sends its body slowly says nothing of the backend. */
const hadItsTime = (call: Call, start: number) => call.deadline - start >= (call.deadline - call.start) / 2

/** How a backend is doing. */
export interface BackendStatus {
  readonly name: string
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
