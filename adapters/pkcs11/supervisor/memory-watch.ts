import type { Host } from './host.ts'

const MIB = 1024 * 1024

/**
 * A host that has grown by this many bytes since it was first measured is replaced. SoftHSM 2.6.1 leaks 270 bytes for
 * each call, so this is a quarter of a million calls; a start costs as much as a thousand. A library's legitimate
 * working memory is smaller.
 */
const GROWTH_BYTES = 64 * MIB

/** What is measured: its bytes outside V8's heap. */
export type Weighable = Pick<Host, 'nativeBytes'>

/** Finds the hosts whose module leaks memory. */
export class MemoryWatch {
  readonly #weighed = new WeakMap<Weighable, number>()

  /**
   * The MiB by which `host` has grown since it was first measured, if that is too much; measuring then starts again.
   * Undefined otherwise, and for a host that is lost during the question.
   */
  async outgrown(host: Weighable): Promise<number | undefined> {
    const bytes = await host.nativeBytes().catch(() => undefined)
    if (bytes === undefined) return undefined
    const first = this.#weighed.get(host)
    if (first !== undefined && bytes - first < GROWTH_BYTES) return undefined
    this.#weighed.set(host, bytes)
    return first && Math.round((bytes - first) / MIB)
  }
}
