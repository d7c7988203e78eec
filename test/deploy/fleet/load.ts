import { until } from '../../commands/cli.ts'
import { SteadyStream, type Failure } from '../../support/steady-stream.ts'
import type { Fleet } from './fleet.ts'
import { KeptAlive } from './kept-alive.ts'
import { clients, hosts } from './network.ts'

export const PER_SECOND = 500
const CONNECTIONS = 16
const PATIENCE_MS = 60_000

/** Requests at a steady rate through the balancer, over connections to both gateways. */
export class Load implements Disposable {
  readonly client: KeptAlive
  readonly stream: SteadyStream

  private constructor(client: KeptAlive, stream: SteadyStream) {
    this.client = client
    this.stream = stream
  }

  static async start({ target, calls }: Fleet, address: string = clients.azure): Promise<Load> {
    const client = new KeptAlive(target(hosts.balancer, address))
    await client.warm(CONNECTIONS)
    const load = new Load(client, new SteadyStream(client, calls, PER_SECOND))
    try {
      await load.goesOn()
      return load
    } catch (error) {
      load[Symbol.dispose]()
      throw error
    }
  }

  get failures(): readonly Failure[] {
    return this.stream.failures
  }

  /** Resets the client, so that the next test begins with both gateways, however the last one ended. */
  [Symbol.dispose](): void {
    void this.stream.stop()
    this.client.close()
  }

  /** Waits until a further second of requests has been answered rightly. */
  async goesOn(): Promise<void> {
    const goal = this.stream.right + PER_SECOND
    await until(`${PER_SECOND} right answers`, () => this.stream.right >= goal, PATIENCE_MS)
  }

  /** Waits for every answer. Summarises the answers in one line, from the fault on if there was one. */
  async stop(fault = 0): Promise<string> {
    await this.stream.stop()
    this.client.close()
    const after = this.stream.exchanges.filter(({ ended }) => ended >= fault)
    const slowest = Math.max(...after.filter(({ status }) => status === 200).map(({ sent, ended }) => ended - sent))
    const last = Math.max(fault, ...this.failures.map(({ sent }) => sent)) - fault
    const kinds = [...new Set(this.failures.map(({ what }) => what))]
    const lost = kinds.map((kind) => `${this.failures.filter(({ what }) => what === kind).length} x ${kind}`).join(', ')
    return (
      `${this.stream.sent} sent, ${this.failures.length} lost (${lost}), the last ${Math.round(last)} ms after the fault; ` +
      `slowest ${Math.round(slowest)} ms; ${this.client.opened} connections, ${this.client.resumed} resumed, ${this.client.unopened} not opened`
    )
  }
}
