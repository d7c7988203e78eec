import type { ConfigContents } from '../../config/make.ts'
import type { GatewayStatus } from '../../gateway/status.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { LoginMemory, RefusedLogin } from '../../gateway/refused-logins.ts'
import type { Share } from '../../gateway/share.ts'
import type { Lesson } from '../../tls/lesson.ts'
import type { ProcessReport } from '../../gateway/report.ts'
import type { PoolCounts } from '../../telemetry/pool-counts.ts'
import type { MetricSnapshot } from '../../telemetry/snapshot.ts'

/** The questions that every serving process answers, and the types of the answers. */
export interface Answers {
  readonly status: GatewayStatus
  readonly metrics: MetricSnapshot
  readonly counts: ProcessCounts
  readonly report: ProcessReport
}

/** What one process has counted of its pools since it began. */
export interface ProcessCounts {
  readonly pid: number
  readonly pools: readonly PoolCounts[]
}

export const answers: { readonly [Question in keyof Answers]: (gateway: Gateway) => Promise<Answers[Question]> } = {
  status: async (gateway) => gateway.status(),
  metrics: (gateway) => gateway.metrics.snapshot(),
  counts: async (gateway) => ({ pid: process.pid, pools: await gateway.metrics.poolCounts() }),
  report: (gateway) => gateway.report(),
}

/** What a worker needs to serve. It reads no file of the configuration, so all workers have the same one. */
export interface StartOrder {
  readonly file: string
  readonly contents: ConfigContents
  readonly share: Share
  readonly ticketKeys: Uint8Array
  /** Logins that were refused to any worker. */
  readonly logins: LoginMemory
  /** What other workers learned. */
  readonly lessons: readonly Lesson[]
}

/** The orders of the primary process to a worker. */
export interface Orders {
  readonly start: { readonly body: StartOrder; readonly result: { readonly port: number } }
  readonly prepare: { readonly body: ConfigContents; readonly result: readonly string[] }
  /** The body: whether backends that were given up are tried again. */
  readonly commit: { readonly body: boolean; readonly result: undefined }
  readonly abort: { readonly body: undefined; readonly result: undefined }
  readonly answer: { readonly body: keyof Answers; readonly result: Answers[keyof Answers] }
  /**
   * Opens backends that could not be reached, except those in the body. The result: those that no further attempt can
   * help.
   */
  readonly open: { readonly body: readonly string[]; readonly result: readonly string[] }
  readonly retire: { readonly body: undefined; readonly result: undefined }
  readonly drain: { readonly body: undefined; readonly result: number }
}

/** Marks the gateway's messages. Node.js's cluster and others send their own on the same channel. */
export const MARK = 'ekm-gateway'

export interface Order<Name extends keyof Orders = keyof Orders> {
  readonly mark: typeof MARK
  readonly id: number
  readonly order: Name
  readonly body: Orders[Name]['body']
}

/** The outcome of an order. A failure that an operator can correct has its code and message; any other has neither. */
export type Outcome =
  | { readonly mark: typeof MARK; readonly id: number; readonly result: unknown }
  | { readonly mark: typeof MARK; readonly id: number; readonly failure: OrderFailure }

export interface OrderFailure {
  readonly operator?: { readonly code: string; readonly message: string; readonly transient: boolean }
}

/** A worker is ready for orders. Node.js drops a message that arrives before there is a listener. */
export interface Ready {
  readonly mark: typeof MARK
  readonly ready: true
}

/** Something that one worker learned. The primary tells the others. */
export interface Learned {
  readonly mark: typeof MARK
  readonly lesson: Lesson
}

/** A login that was refused to one worker. The others do not make it. */
export interface Refused {
  readonly mark: typeof MARK
  readonly refused: RefusedLogin
}

export const isOurs = (message: unknown): message is { readonly mark: typeof MARK } =>
  typeof message === 'object' && message !== null && 'mark' in message && message.mark === MARK
