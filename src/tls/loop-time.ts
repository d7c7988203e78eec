/** What a handshake or a request may take of the event loop without being looked into, in milliseconds. */
const ORDINARY_MS = 5

/** The processor time of this thread; versions before Node.js 23.9 know that of the whole process only. */
const processorTime = (): NodeJS.CpuUsage => {
  const { threadCpuUsage } = process as { threadCpuUsage?: (this: void) => NodeJS.CpuUsage }
  return threadCpuUsage?.() ?? process.cpuUsage()
}

/**
 * Finds the time that the event loop spent on something extraordinary. What OpenSSL does inside of a handshake is in no
 * JavaScript function, so it cannot be measured where it happens. But the time between two marks is known, and how much of
 * it the loop was idle: the rest is what was done in between.
 * The processor's time bounds it: while the process waits for a core, nobody causes that.
 */
export class LoopTime {
  #now = 0
  #idle = 0
  #cpu = 0
  #excess = 0

  constructor() {
    this.#start()
  }

  /** Milliseconds beyond the ordinary since {@link LoopTime.forget}. */
  get excess(): number {
    return this.#excess
  }

  /** Ends what was being done. The more marks there are, the less that is ordinary adds up. */
  mark(): void {
    const [now, idle, cpu] = [this.#now, this.#idle, this.#cpu]
    this.#start()
    const active = this.#now - now - (this.#idle - idle)
    this.#excess += Math.max(0, Math.min(active, this.#cpu - cpu) - ORDINARY_MS)
  }

  /** Whatever was done until now counts no more. */
  forget(): void {
    this.#start()
    this.#excess = 0
  }

  #start(): void {
    this.#now = performance.now()
    this.#idle = performance.nodeTiming.idleTime
    const { user, system } = processorTime()
    this.#cpu = (user + system) / 1000
  }
}
