import type { AdapterError, CallContext, KeyRef, Report } from '../../../adapters/contract/index.ts'
import { contextOf } from '../../support/context.ts'

export const ref = (text: string) => text as KeyRef

/** A call context with a deadline that suits the test, and not the gateway's 200 ms. */
export function context(ms = 10_000): CallContext {
  return contextOf(AbortSignal.timeout(ms), performance.now() + ms, 'test')
}

/** A call context whose deadline fires as the gateway's does, with this error as the reason. */
export function contextUntil(ms: number, reason: AdapterError): CallContext {
  const controller = new AbortController()
  setTimeout(() => controller.abort(reason), ms)
  return contextOf(controller.signal, performance.now() + ms, 'test')
}

export interface Reported {
  readonly level: string
  readonly event: string
  readonly fields: Readonly<Record<string, string | number | boolean>>
}

/** A report function that records its calls. */
export function recorder(): { report: Report; reported: Reported[]; of: (event: string) => Reported[] } {
  const reported: Reported[] = []
  return {
    reported,
    report: (level, event, fields) => void reported.push({ level, event, fields }),
    of: (event) => reported.filter((entry) => entry.event === event),
  }
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until `condition` holds. Resolves with the milliseconds that it took. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, ms = 30_000): Promise<number> {
  const start = performance.now()
  while (performance.now() - start < ms) {
    if (await condition()) return performance.now() - start
    await sleep(10)
  }
  throw new Error(`not within ${ms} ms: ${what}`)
}
