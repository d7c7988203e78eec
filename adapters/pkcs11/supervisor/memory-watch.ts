import type { Host } from './host.ts'

const MIB = 1024 * 1024

/** To warm up, a host needs 6 MiB; SoftHSM 2.6.1 keeps 270 bytes of each call for good. */
const GROWTH_BYTES = { first: 16 * MIB, last: 256 * MIB }
/** A host that has grown by so much within this time may be one that fills a cache, and not one that leaks. */
const SOON_MS = 60_000

interface Seen {
  readonly bytes: number
  readonly at: number
}

/** Finds the hosts whose module does not give back the memory that it takes. */
export class MemoryWatch {
  readonly #first = new WeakMap<Host, Seen>()
  #bound = GROWTH_BYTES.first

  /**
   * By how many MiB `host` has grown since it was first asked, or last found to be outgrown, if that is too much; then
   * the next may grow by twice as much where this one was quick. `undefined` also for a host that is lost while asked.
   */
  async outgrown(host: Host): Promise<number | undefined> {
    const bytes = await host.nativeBytes().catch(() => undefined)
    if (bytes === undefined) return undefined
    const now = performance.now()
    const first = this.#first.get(host)
    if (first === undefined) {
      this.#first.set(host, { bytes, at: now })
      return undefined
    }
    const growth = bytes - first.bytes
    if (growth < this.#bound) return undefined
    this.#first.set(host, { bytes, at: now })
    if (now - first.at < SOON_MS) this.#bound = Math.min(GROWTH_BYTES.last, 2 * this.#bound)
    return Math.round(growth / MIB)
  }
}
