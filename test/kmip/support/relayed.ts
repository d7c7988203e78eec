import type { KeyAdapter } from '../../../adapters/contract/index.ts'
import { open, type KmipOptions } from '../../../adapters/kmip/index.ts'
import { Reports } from '../../software/fixtures.ts'
import { kmipFixture, type KmipFixture } from '../kmip-fixture.ts'
import type { Behaviour } from '../server/behaviour.ts'
import { KmipRelay } from './relay.ts'

/** The connections of {@link relayed} at most. */
export const CONNECTIONS = 8

export interface Relayed extends AsyncDisposable {
  readonly fixture: KmipFixture
  readonly relay: KmipRelay
  /** An adapter that goes through the relay. The fixture's own adapter does not. */
  readonly adapter: KeyAdapter
  readonly reports: Reports
}

export async function relayed(
  behaviour: Partial<Behaviour> = {},
  options: Partial<KmipOptions> = {},
): Promise<Relayed> {
  const fixture = await kmipFixture(behaviour)
  const relay = await KmipRelay.start(fixture.options, fixture.pki.server)
  const reports = new Reports()
  const adapter = await open({ ...relay.options, connections: CONNECTIONS, ...options }, reports.report)
  return {
    fixture,
    relay,
    adapter,
    reports,
    [Symbol.asyncDispose]: async () => {
      await adapter.close()
      await relay[Symbol.asyncDispose]()
      await fixture[Symbol.asyncDispose]()
    },
  }
}
