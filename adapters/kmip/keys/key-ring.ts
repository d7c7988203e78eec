import { abortable, AdapterError, type CallSignal } from '../../contract/index.ts'
import { meaningOf, refusalError } from '../errors.ts'
import { KmipRefusal } from '../protocol/operation.ts'
import type { Requests } from '../transport/requests.ts'
import { KeyReader } from './key-reader.ts'
import type { KmipKey } from './kmip-key.ts'
import { Remembered } from './remembered.ts'

/** How long the server's description of a key counts, in milliseconds. */
export interface KeyTimes {
  /** Older attributes are requested again when the key is used; meanwhile they still count. */
  readonly refreshMs: number
  /** With older attributes, no result is released. A key that was disabled stops working within this time. */
  readonly freshMs: number
  /** How long a Name is assumed to mean the same object, unless that object is gone. */
  readonly nameMs: number
}

export const keyTimes: KeyTimes = { refreshMs: 1000, freshMs: 2000, nameMs: 60_000 }

const LOAD_TIMEOUT_MS = 2000

/** A key. If its description is old, also the description that the server has been asked for. */
export interface FoundKey {
  readonly key: KmipKey
  /** No result of the key may be released before this resolves. */
  readonly confirmed?: Promise<KmipKey>
}

interface Loading {
  readonly key: Promise<KmipKey>
  readonly anew: boolean
}

/** Finds keys and their descriptions. Callers who want the same key at the same time share one round trip. */
export class KeyRing {
  readonly #reader: KeyReader
  readonly #times: KeyTimes
  readonly #keys = new Remembered<KmipKey>()
  readonly #loading = new Map<string, Loading>()

  constructor(cluster: Requests, times: KeyTimes) {
    this.#reader = new KeyReader(cluster, times.nameMs)
    this.#times = times
  }

  /** Returns what is known at once, so that a call to a server far away takes one round trip instead of two. */
  async find(ref: string, signal: CallSignal): Promise<FoundKey> {
    const known = this.#keys.get(ref)
    if (known === undefined) return { key: await abortable(this.#load(ref), signal) }
    if (known.ageMs < this.#times.refreshMs) return { key: known.value }
    const confirmed = this.#load(ref)
    return known.ageMs < this.#times.freshMs ? { key: known.value } : { key: known.value, confirmed }
  }

  /**
   * The key as it is now, and whichever object has its Name now. For when the server's answer contradicts what was
   * known.
   */
  refresh(ref: string, signal: CallSignal): Promise<KmipKey> {
    return abortable(this.#load(ref, true), signal)
  }

  /** An AES key that was found recently and has another identifier. */
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
    // Callers who wait get the error. It is handled here because there may be none.
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
      // If a server cannot confirm it because it cannot be reached, it is confirmed when the server is back.
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
