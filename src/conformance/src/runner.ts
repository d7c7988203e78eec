import { setMaxListeners } from 'node:events'
import type { Agent } from 'node:https'
import { needs, type Case, type CaseResult, type Need, type Phase } from './case.ts'
import { catalogue } from './catalogue.ts'
import { makeAgent } from './client.ts'
import { Masks } from './masks.ts'
import { Measurements, type LoadPlan } from './measurements.ts'
import { CouldNotRun, NotApplicable, Unmet, type Step } from './outcome.ts'
import { preflight } from './preflight.ts'
import { Probe, reasonOf, type Named, type Seen } from './probe.ts'
import type { Target } from './target.ts'

const phases: readonly Phase[] = ['calls', 'measurement', 'afterwards']

export interface RunOptions {
  readonly target: Target
  /** Ids, or beginnings of ids. All cases if empty. */
  readonly only?: readonly string[]
  /** How many cases run at the same time. */
  readonly concurrency?: number
  /** Milliseconds that a case may take. */
  readonly timeoutMs?: number
  readonly load?: LoadPlan
  readonly onResult?: (result: CaseResult, done: number, total: number) => void
  readonly onProgress?: (text: string) => void
}

/** The result of a run. */
export interface Report {
  readonly startedAt: Date
  readonly seconds: number
  readonly target: Target
  readonly results: readonly CaseResult[]
  readonly measurements: Measurements
  /** The proxy's answer to `info`. */
  readonly about: Readonly<Record<string, unknown>>
  /** True if no case of severity `must` failed. */
  readonly conformant: boolean
}

/**
 * Runs the catalogue.
 * @throws CouldNotRun if the proxy cannot be tested at all
 */
export async function runConformance(options: RunOptions): Promise<Report> {
  const { target, only = [], concurrency = 4, onResult } = options
  const wanted = catalogue.filter(
    ({ id }) => only.length === 0 || only.some((part) => id === part || id.startsWith(`${part}.`)),
  )
  if (wanted.length === 0) throw new CouldNotRun(`no case is called ${only.join(' or ')}: --list tells what there is`)
  await preflight(target)
  const start = performance.now()
  const startedAt = new Date()
  const run = new Run(options)
  const results = new Map<string, CaseResult>()
  for (const phase of phases) {
    const queue = wanted.filter((entry) => (entry.phase ?? 'calls') === phase).values()
    const caller = async () => {
      for (const entry of queue) {
        const result = await run.case(entry)
        results.set(entry.id, result)
        onResult?.(result, results.size, wanted.length)
      }
    }
    await Promise.all(Array.from({ length: phase === 'calls' ? concurrency : 1 }, caller))
  }
  run.close()
  const inOrder = wanted.flatMap(({ id }) => results.get(id) ?? [])
  return {
    startedAt,
    seconds: (performance.now() - start) / 1000,
    target,
    results: inOrder,
    measurements: run.measurements,
    about: run.about,
    conformant: !inOrder.some(({ severity, outcome }) => severity === 'must' && outcome === 'failed'),
  }
}

class Run {
  readonly measurements = new Measurements()
  readonly #options: RunOptions
  readonly #agent: Agent
  readonly #masks = new Masks()
  readonly #seen: Seen[] = []
  readonly #named: Named[] = []

  constructor(options: RunOptions) {
    this.#options = options
    this.#agent = makeAgent(options.target)
  }

  get about(): Readonly<Record<string, unknown>> {
    return this.#seen.find(({ json }) => typeof json?.['proxy_name'] === 'string')?.json ?? {}
  }

  close(): void {
    this.#agent.destroy()
  }

  /** Runs a case with every key that it concerns. The first failure is the case's failure. */
  async case({ id, clause, severity, title, needs: wanted = [], run }: Case): Promise<CaseResult> {
    const start = performance.now()
    const done = (result: Pick<CaseResult, 'outcome' | 'checks'> & Partial<CaseResult>): CaseResult => ({
      id,
      clause,
      severity,
      title,
      ...result,
      milliseconds: performance.now() - start,
    })
    const missing = wanted.filter((need) => !this.#has(need))
    if (missing.length > 0) {
      const reason = `needs ${missing.map((need) => needs[need]).join(' and ')}`
      return done({ outcome: 'not run', reason, checks: 0 })
    }
    let checks = 0
    let last: Step | undefined
    for (const keys of this.#keysFor(wanted)) {
      const { outcome, probe } = await this.#attempt(run, keys)
      checks += probe.checks
      last = probe.last ?? last
      if (outcome instanceof NotApplicable) return done({ outcome: 'not run', reason: outcome.message, checks })
      if (outcome instanceof Unmet) return done({ outcome: 'failed', checks, last: outcome.step })
      if (outcome !== undefined) {
        const step = { sent: last?.sent ?? 'nothing yet', expected: 'an end of the case', came: reasonOf(outcome) }
        return done({ outcome: 'failed', checks, last: step })
      }
    }
    return done({ outcome: 'passed', checks, ...(last && { last }) })
  }

  async #attempt(run: Case['run'], keys: Keys): Promise<{ outcome: unknown; probe: Probe }> {
    const { target, load, timeoutMs = 60_000, onProgress = () => undefined } = this.#options
    const controller = new AbortController()
    // A case may have any number of requests under way.
    setMaxListeners(0, controller.signal)
    const probe = new Probe({
      target,
      agent: this.#agent,
      masks: this.#masks,
      seen: this.#seen,
      named: this.#named,
      measurements: this.measurements,
      signal: controller.signal,
      load,
      progress: onProgress,
      ...keys,
    })
    const limit = timeoutMs + (load?.seconds ?? 0) * 1000
    let timer: NodeJS.Timeout | undefined
    const tooLong = new Promise<Error>((resolve) => {
      timer = setTimeout(() => resolve(new Error(`not done within ${limit / 1000} s`)), limit)
    })
    const outcome: unknown = await Promise.race([attempt(() => run(probe)), tooLong])
    clearTimeout(timer)
    controller.abort()
    return { outcome, probe }
  }

  #has(need: Need): boolean {
    const { target, load } = this.#options
    switch (need) {
      case 'prefix':
        return target.prefix !== ''
      case 'aes':
        return target.aesKeys.length > 0
      case 'second aes':
        return target.aesKeys.length > 1
      case 'rsa':
        return target.rsaKeys.length > 0
      case 'refused':
        return target.refused.size > 0
      case 'disabled':
        return target.disabledKeys.length > 0
      case 'load':
        return load !== undefined
    }
  }

  #keysFor(wanted: readonly Need[]): Keys[] {
    const { aesKeys, rsaKeys } = this.#options.target
    if (wanted.includes('aes')) return aesKeys.map((aesKey) => ({ aesKey }))
    if (wanted.includes('rsa')) return rsaKeys.map((rsaKey) => ({ rsaKey }))
    return [{}]
  }
}

interface Keys {
  readonly aesKey?: string
  readonly rsaKey?: string
}

/** @returns what the case threw, if anything */
async function attempt(run: () => Promise<void> | void): Promise<unknown> {
  try {
    await run()
    return undefined
  } catch (error) {
    return error ?? new Error('the case failed')
  }
}
