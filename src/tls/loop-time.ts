/** What a handshake or a request may take of the event loop without being looked into, in milliseconds. */
const ORDINARY_MS = 5

/** The processor time of this thread, in milliseconds; versions before Node.js 23.9 know that of the whole process only. */
function processorMs(): number {
  const { threadCpuUsage } = process as { threadCpuUsage?: (this: void) => NodeJS.CpuUsage }
  const { user, system } = threadCpuUsage?.() ?? process.cpuUsage()
  return (user + system) / 1000
}

/**
 * Finds the time that the event loop spent on something extraordinary. What OpenSSL does inside of a handshake is in no
 * JavaScript function, so it cannot be measured where it happens. But the time between two marks is known, and how much of
 * it the loop was idle: the rest is what was done in between.
 * The processor's time bounds it: while the process waits for a core, nobody causes that. To ask for that costs more than
 * all else here, so it is asked where something extraordinary is to be told, and for all marks together.
 */
export class LoopTime {
  #now = 0
  #idle = 0
  #ordinary = 0
  #extraordinary = 0
  #cpuAtStart = 0

  constructor() {
    this.forget()
  }

  /** Milliseconds beyond the ordinary since {@link LoopTime.forget}. */
  get excess(): number {
    if (this.#extraordinary === 0) return 0
    return Math.max(0, Math.min(this.#extraordinary, processorMs() - this.#cpuAtStart - this.#ordinary))
  }

  /** Ends what was being done. The more marks there are, the less that is ordinary adds up. */
  mark(): void {
    const [now, idle] = [this.#now, this.#idle]
    this.#start()
    const active = this.#now - now - (this.#idle - idle)
    const ordinary = Math.min(active, ORDINARY_MS)
    this.#ordinary += ordinary
    this.#extraordinary += active - ordinary
  }

  /** Whatever was done until now counts no more. */
  forget(): void {
    this.#start()
    this.#cpuAtStart = processorMs()
    this.#ordinary = 0
    this.#extraordinary = 0
  }

  #start(): void {
    this.#now = performance.now()
    this.#idle = performance.nodeTiming.idleTime
  }
}
