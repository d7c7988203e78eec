import type { ConfigContents } from '../../config/load.ts'
import type { GatewayStatus } from '../../gateway/status.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { Share } from '../../gateway/share.ts'
import type { Lesson } from '../../tls/listener.ts'
import type { MetricSnapshot } from '../../telemetry/metrics.ts'

/** What can be asked of every process that serves, and what each answers. */
export interface Answers {
  readonly status: GatewayStatus
  readonly metrics: MetricSnapshot
}

export const answers: { readonly [Question in keyof Answers]: (gateway: Gateway) => Promise<Answers[Question]> } = {
  status: async (gateway) => gateway.status(),
  metrics: (gateway) => gateway.metrics.snapshot(),
}

/** What a worker needs to serve. It reads no file of the configuration, so that all workers have the same. */
export interface StartOrder {
  readonly file: string
  readonly contents: ConfigContents
  readonly share: Share
  readonly ticketKeys: Uint8Array
  /** What other workers found out. */
  readonly lessons: readonly Lesson[]
}

/** What the primary process has a worker do. */
export interface Orders {
  readonly start: { readonly body: StartOrder; readonly result: { readonly port: number } }
  readonly prepare: { readonly body: ConfigContents; readonly result: readonly string[] }
  readonly commit: { readonly body: undefined; readonly result: undefined }
  readonly abort: { readonly body: undefined; readonly result: undefined }
  readonly answer: { readonly body: keyof Answers; readonly result: Answers[keyof Answers] }
  /** To be tried: backends that were away, but for those in the body. The result: those that no other attempt helps. */
  readonly open: { readonly body: readonly string[]; readonly result: readonly string[] }
  readonly retire: { readonly body: undefined; readonly result: undefined }
  readonly drain: { readonly body: undefined; readonly result: number }
}

/** Node.js's cluster and others send messages of their own on the same channel. */
export const MARK = 'ekm-gateway'

export interface Order<Name extends keyof Orders = keyof Orders> {
  readonly mark: typeof MARK
  readonly id: number
  readonly order: Name
  readonly body: Orders[Name]['body']
}

/** How an order ended. A failure that an operator can mend comes with its code and message, any other with neither. */
export type Outcome =
  | { readonly mark: typeof MARK; readonly id: number; readonly result: unknown }
  | { readonly mark: typeof MARK; readonly id: number; readonly failure: OrderFailure }

export interface OrderFailure {
  readonly operator?: { readonly code: string; readonly message: string; readonly transient: boolean }
}

/** Says that a worker listens to orders: Node.js drops a message that comes before anybody does. */
export interface Ready {
  readonly mark: typeof MARK
  readonly ready: true
}

/** What one worker found out; the primary tells the others. */
export interface Learned {
  readonly mark: typeof MARK
  readonly lesson: Lesson
}

export const isOurs = (message: unknown): message is { readonly mark: typeof MARK } =>
  typeof message === 'object' && message !== null && 'mark' in message && message.mark === MARK
