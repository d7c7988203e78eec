import type { Host } from './host.ts'

const MIB = 1024 * 1024

/** Weighed from its start, a host has what it needs to work after so long: 6 MiB to warm up, and a library's caches. */
const SETTLED_MS = 20_000
/** So much more than then, and a host is outgrown: SoftHSM 2.6.1 keeps 270 bytes of each call for good. */
const GROWTH_BYTES = 8 * MIB
/** But none sooner than this, for a start costs as much as a thousand calls ... */
const LIFE_MS = 60_000
/** ... unless it has grown by so much since it was first weighed. */
const MAX_GROWTH_BYTES = 256 * MIB

interface Weighed {
  readonly first: number
  readonly at: number
  settled?: number
}

/** What is weighed: how many bytes it has beside V8's heap. */
export type Weighable = Pick<Host, 'nativeBytes'>

/** Finds the hosts whose module does not give back the memory that it takes. */
export class MemoryWatch {
  readonly #weighed = new WeakMap<Weighable, Weighed>()
  readonly #now: () => number

  /** @param now milliseconds */
  constructor(now = () => performance.now()) {
    this.#now = now
  }

  /**
   * By how many MiB `host` has grown since it was first weighed, if that is too much; it is weighed anew from then on.
   * `undefined` also for a host that is lost while asked.
   */
  async outgrown(host: Weighable): Promise<number | undefined> {
    const bytes = await host.nativeBytes().catch(() => undefined)
    if (bytes === undefined) return undefined
    const now = this.#now()
    const weighed = this.#weighed.get(host)
    if (weighed === undefined) {
      this.#weighed.set(host, { first: bytes, at: now })
      return undefined
    }
    const age = now - weighed.at
    if (age >= SETTLED_MS) weighed.settled ??= bytes
    const { first, settled = bytes } = weighed
    const isOutgrown = bytes - first >= MAX_GROWTH_BYTES || (age >= LIFE_MS && bytes - settled >= GROWTH_BYTES)
    if (!isOutgrown) return undefined
    this.#weighed.set(host, { first: bytes, at: now })
    return Math.round((bytes - first) / MIB)
  }
}
