import type { Report } from '../../contract/index.ts'
import type { Host } from './host.ts'
import { MemoryWatch } from './memory-watch.ts'

/** Milliseconds between measurements of the hosts' memory. */
const WEIGH_MS = 5000

/** Has hosts replaced whose module leaks memory. */
export class OutgrownHosts {
  readonly #hosts: ReadonlySet<Host>
  readonly #replace: () => void
  readonly #report: Report
  readonly #memory = new MemoryWatch()
  readonly #weighing: NodeJS.Timeout

  /** @param replace opens hosts in place of outdated ones */
  constructor(hosts: ReadonlySet<Host>, replace: () => void, report: Report) {
    this.#hosts = hosts
    this.#replace = replace
    this.#report = report
    this.#weighing = setInterval(() => void this.#weigh(), WEIGH_MS)
    this.#weighing.unref()
  }

  /** The token gave no further session, so it is not asked again, and the hosts that have grown keep serving. */
  keep(): void {
    for (const host of this.#hosts) if (host.outdated === 'memory') host.outdated = undefined
  }

  close(): void {
    clearInterval(this.#weighing)
  }

  /** Replaces one at a time, so that at most one session more than wanted is open. */
  async #weigh(): Promise<void> {
    for (const host of this.#hosts) {
      for (const { state, outdated } of this.#hosts) if (state === 'opening' || outdated !== undefined) return
      if (host.state !== 'ready') continue
      const grownMiB = await this.#memory.outgrown(host)
      if (grownMiB === undefined || host.state !== 'ready') continue
      this.#report('info', 'hsm_host_outgrown', { pid: host.pid, grownMiB })
      host.outdated = 'memory'
      this.#replace()
    }
  }
}
