import { abortable, AdapterError, type CallSignal } from '../../contract/index.ts'
import { meaningOf, refusalError } from '../errors.ts'
import { KmipRefusal } from '../protocol/operation.ts'
import type { KmipCluster } from '../transport/cluster.ts'
import { KeyReader } from './key-reader.ts'
import type { KmipKey } from './kmip-key.ts'
import { Remembered } from './remembered.ts'

/** How long what the server said of a key counts, in milliseconds. */
export interface KeyTimes {
  /** Attributes older than this are asked for again when they are used; they still count meanwhile. */
  readonly refreshMs: number
  /** On attributes older than this nothing is released. A key that was disabled stops within it. */
  readonly freshMs: number
  /** How long a Name is taken to mean the same object, unless that is gone. */
  readonly nameMs: number
}

export const keyTimes: KeyTimes = { refreshMs: 1000, freshMs: 2000, nameMs: 60_000 }

const LOAD_TIMEOUT_MS = 2000

/** A key, and, where what is known of it is old, what the server is about to say of it. */
export interface FoundKey {
  readonly key: KmipKey
  /** Nothing that the key was used for is released before it. */
  readonly confirmed?: Promise<KmipKey>
}

interface Loading {
  readonly key: Promise<KmipKey>
  readonly anew: boolean
}

/** Finds keys and says what they are. Callers who want the same at the same time cause one trip. */
export class KeyRing {
  readonly #reader: KeyReader
  readonly #times: KeyTimes
  readonly #keys = new Remembered<KmipKey>()
  readonly #loading = new Map<string, Loading>()

  constructor(cluster: KmipCluster, times: KeyTimes) {
    this.#reader = new KeyReader(cluster, times.nameMs)
    this.#times = times
  }

  /** Gives at once what is known, so that a call to a server far away takes one trip and not two. */
  async find(ref: string, signal: CallSignal): Promise<FoundKey> {
    const known = this.#keys.get(ref)
    if (known === undefined) return { key: await abortable(this.#load(ref), signal) }
    if (known.ageMs < this.#times.refreshMs) return { key: known.value }
    const confirmed = this.#load(ref)
    return known.ageMs < this.#times.freshMs ? { key: known.value } : { key: known.value, confirmed }
  }

  /** The key as it is now, and whatever has its Name now, for when the server's answer did not fit to what was believed. */
  refresh(ref: string, signal: CallSignal): Promise<KmipKey> {
    return abortable(this.#load(ref, true), signal)
  }

  /** An AES key that was found lately and is not the one with that identifier. */
  otherAesKey(id: string): KmipKey | undefined {
    return this.#keys.values().find((key) => key.description.kty === 'oct' && key.id !== id)
  }

  #load(ref: string, anew = false): Promise<KmipKey> {
    const underWay = this.#loading.get(ref)
    if (underWay !== undefined && (underWay.anew || !anew)) return underWay.key
    const loading = { key: this.#read(ref, anew), anew }
    this.#loading.set(ref, loading)
    const done = () => {
      if (this.#loading.get(ref) === loading) this.#loading.delete(ref)
    }
    // Whoever waits for it is told; and perhaps nobody does.
    loading.key.then(done, done)
    return loading.key
  }

  async #read(ref: string, anew: boolean): Promise<KmipKey> {
    const signal = AbortSignal.timeout(LOAD_TIMEOUT_MS)
    const askedAt = performance.now()
    try {
      const key = await this.#reader.read(ref, anew, signal)
      this.#keys.set(ref, key, askedAt)
      return key
    } catch (error) {
      const failure = translated(error, signal)
      // What a server that is away cannot confirm is confirmed when it is back.
      if (failure instanceof AdapterError && !ofServer.includes(failure.code)) {
        this.#keys.delete(ref)
        this.#reader.forget(ref)
      }
      throw failure
    }
  }
}

const ofServer: readonly string[] = ['BACKEND_UNAVAILABLE', 'BACKEND_BUSY']

function translated(error: unknown, signal: CallSignal): unknown {
  if (signal.aborted) return new AdapterError('BACKEND_UNAVAILABLE', 'the key manager is too slow')
  if (!(error instanceof KmipRefusal)) return error
  const meaning = meaningOf(error, 'describe')
  return refusalError(error, meaning === 'UNCLEAR' ? 'BACKEND_UNAVAILABLE' : meaning)
}
