import {
  AdapterError,
  algorithmRow,
  type AdapterErrorCode,
  type KeyAdapter,
  type KeyDescription,
  type KeyRef,
  type WayFound,
  type WrapAlgorithm,
} from '../../../adapters/contract/index.ts'
import { Pulse } from '../../base/pulse.ts'
import { Breaker } from './breaker.ts'
import type { Call } from './call.ts'
import { Capacity, type CapacityLimits, type Rejection } from './capacity.ts'
import type { BackendOperation, Flow } from './flow.ts'

/** A backend's description of a key. */
export interface Described {
  readonly description: KeyDescription
  /** Until when a request may be refused because of it, on `performance.now()`'s clock. */
  readonly until: number
}

/** Called for everything that a backend is asked. */
export interface BackendObserver {
  /** @param code `OK`, or the error's code */
  called(operation: BackendOperation, code: string, elapsedMs: number): void
  rejected(rejection: Rejection): void
  /** @param evidence the failure of the probe for which the backend counts as down; undefined when it is up again */
  changed(evidence?: AdapterError): void
  /** Called when calls of `operation` with this key begin or cease to be answered in time. */
  keyChanged(operation: BackendOperation, ref: KeyRef, isAnswered: boolean): void
}

export interface BackendOptions extends CapacityLimits {
  readonly name: string
  readonly adapter: KeyAdapter
  /** Milliseconds for which a description may refuse a request before the backend is asked again. */
  readonly keyCacheMs: number
  readonly observer: BackendObserver
}

const zero = (late: Uint8Array) => late.fill(0)

/**
 * One of the operator's backends: how many calls it gets, whether it is up, and how it last described its keys, so that
 * a wrap takes one round trip instead of two.
 */
export class Backend {
  readonly name: string
  readonly #adapter: KeyAdapter
  readonly #keyCacheMs: number
  readonly #observer: BackendObserver
  readonly #capacity: Capacity
  readonly #breaker: Breaker
  readonly #pulse = new Pulse()
  /** Only keys that the backend has are remembered, so the backend bounds the size. */
  readonly #descriptions = new Map<KeyRef, Described>()

  constructor({ name, adapter, keyCacheMs, observer, concurrency, queue }: BackendOptions) {
    this.name = name
    this.#adapter = adapter
    this.#keyCacheMs = keyCacheMs
    this.#observer = observer
    this.#capacity = new Capacity({ concurrency, queue }, (rejection) => observer.rejected(rejection))
    this.#breaker = new Breaker({
      // A backend that is still to be opened is known to be unreachable.
      probe: async (context) => (adapter.away ? undefined : adapter.probe(context)),
      onChange: (evidence) => observer.changed(evidence),
    })
  }

  get product(): KeyAdapter['product'] {
    return this.#adapter.product
  }

  get status(): BackendStatus {
    const { away = false, connectionsWanted } = this.#adapter
    return {
      name: this.name,
      away,
      up: !away && !this.#breaker.isOpen,
      ready: !away && this.#breaker.isReady,
      running: this.#capacity.running,
      waiting: this.#capacity.waiting,
      connections: this.#adapter.connections ?? 0,
      ...(connectionsWanted !== undefined && { connectionsWanted }),
    }
  }

  /** The last fetched description of the key. Undefined if there is none. */
  recall(ref: KeyRef): Described | undefined {
    return this.#descriptions.get(ref)
  }

  /** The backend's present description of the key. */
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

  /** The caller owns the result, and zeroes `plaintext`. */
  wrap(flow: Flow, algorithm: WrapAlgorithm, plaintext: Uint8Array, call: Call): Promise<Uint8Array> {
    // A call that needs only a public key proves nothing about the backend.
    const isWork = algorithmRow(algorithm).kty === 'oct'
    return this.#ask(flow, call, isWork, () => this.#adapter.wrap(flow.ref, algorithm, plaintext, call), zero)
  }

  /** The result is a data key, which the caller zeroes. */
  unwrap(flow: Flow, algorithm: WrapAlgorithm, ciphertext: Uint8Array, call: Call): Promise<Uint8Array> {
    return this.#ask(flow, call, true, () => this.#adapter.unwrap(flow.ref, algorithm, ciphertext, call), zero)
  }

  /** Waits until the backend knows how to do the key's algorithms, and says how; empty if it cannot tell. */
  prepare(ref: KeyRef, call: Call): Promise<readonly WayFound[]> {
    return call.run(Promise.resolve(this.#adapter.inspection?.ways(ref, call) ?? []))
  }

  /** Whether both use one adapter, so that a reference means the same key to both. */
  sharesAdapter(other: Backend): boolean {
    return this.#adapter === other.#adapter
  }

  /** Stops probing. Whoever opened the adapter closes it. */
  stop(): void {
    this.#breaker.stop()
  }

  /** @param isWork true if only the backend can do the call, and not from memory */
  async #ask<T>(
    flow: Flow,
    call: Call,
    isWork: boolean,
    work: () => Promise<T>,
    discard?: (late: T) => void,
  ): Promise<T> {
    call.backend = this.name
    if (this.#adapter.away) throw new AdapterError('BACKEND_UNAVAILABLE', 'the backend could not be reached at start')
    this.#breaker.assertClosed()
    let start = performance.now()
    const turn = this.#capacity.enter(flow, call, start)
    if (turn !== undefined) {
      await turn
      start = performance.now()
    }
    let end: number | undefined
    // A call that was given up keeps its place until the backend has finished with it.
    const leave = () => {
      end = performance.now()
      this.#capacity.leave(flow)
    }
    let code: Outcome = 'OK'
    this.#pulse.begin()
    try {
      return await call.run(work(), discard, leave)
    } catch (error) {
      code = error instanceof AdapterError ? error.code : 'INTERNAL'
      throw error
    } finally {
      const now = end ?? performance.now()
      this.#pulse.end()
      call.backendMs = (call.backendMs ?? 0) + now - start
      this.#observer.called(flow.operation, code, now - start)
      if (isWork && code === 'OK') this.#breaker.answered(now)
      this.#learn(flow, call, code, start, now)
    }
  }

  /** Records what a call, sent at `start`, shows about its key, and whether it casts doubt on the backend. */
  #learn(flow: Flow, call: Call, code: Outcome, start: number, now: number): void {
    const wasStuck = flow.isStuck
    flow.ended()
    // What the gateway itself was late by is not the key's time.
    const until = Math.max(start, now - this.#pulse.delayAt(now))
    if (code === 'BACKEND_UNAVAILABLE') this.#breaker.doubt()
    else if (code === 'DEADLINE_EXCEEDED') {
      if (hadItsTime(call, start)) {
        flow.late(call, start, until)
        this.#breaker.doubt()
      }
    } else if (!saysNothing.has(code)) flow.answered(call, start, until)
    if (flow.isStuck !== wasStuck) this.#observer.keyChanged(flow.operation, flow.ref, wasStuck)
    this.#capacity.serve()
  }
}

type Outcome = AdapterErrorCode | 'OK' | 'INTERNAL'

/** These outcomes concern the adapter or the gateway, not the key. */
const saysNothing: ReadonlySet<Outcome> = new Set(['BACKEND_BUSY', 'CANCELLED', 'CLOSED', 'INTERNAL'])

/**
 * Whether the backend had most of the call's time. A client that sends its body slowly proves nothing about the
 * backend.
 */
const hadItsTime = (call: Call, start: number) => call.deadline - start >= (call.deadline - call.start) / 2

/** The state of a backend. */
export interface BackendStatus {
  readonly name: string
  /** True if it could not be reached at start and is not open yet. */
  readonly away: boolean
  /** Whether requests are sent to it. */
  readonly up: boolean
  /** Whether it answered the last call or probe. */
  readonly ready: boolean
  /** The number of running calls, and the number of queued calls. */
  readonly running: number
  readonly waiting: number
  /** Open sessions or connections. */
  readonly connections: number
  /** How many are kept open while the backend is healthy. Undefined if they are opened on demand. */
  readonly connectionsWanted?: number
}
