/** Milliseconds of the event loop that an ordinary handshake or request may take. */
const ORDINARY_MS = 5

/**
 * The processor time of this thread in milliseconds. Before version 23.9, Node.js shows only that of the whole process.
 */
function processorMs(): number {
  const { threadCpuUsage } = process as { threadCpuUsage?: (this: void) => NodeJS.CpuUsage }
  const { user, system } = threadCpuUsage?.() ?? process.cpuUsage()
  return (user + system) / 1000
}

/**
 * Measures the time that the event loop spent on something extraordinary. OpenSSL's work inside a handshake is in no
 * JavaScript function, so it cannot be measured where it happens. But the time between two marks is known, and so is
 * the loop's idle time; the difference is the time of the work in between.
 *
 * The processor time is an upper bound, because nobody causes the time in which the process waits for a core. To ask
 * for the processor time costs more than all else here. So it is asked for only when something extraordinary is to be
 * reported, and for all marks together.
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

  /** Extraordinary milliseconds since {@link LoopTime.forget}. */
  get excess(): number {
    if (this.#extraordinary === 0) return 0
    return Math.max(0, Math.min(this.#extraordinary, processorMs() - this.#cpuAtStart - this.#ordinary))
  }

  /** Ends the current measurement. The more marks there are, the less ordinary time adds up. */
  mark(): void {
    const [now, idle] = [this.#now, this.#idle]
    this.#start()
    const active = this.#now - now - (this.#idle - idle)
    const ordinary = Math.min(active, ORDINARY_MS)
    this.#ordinary += ordinary
    this.#extraordinary += active - ordinary
  }

  /** Discards all time until now. */
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
