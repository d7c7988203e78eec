import { openBackend } from '../backends/index.ts'
import type { Config } from '../config/schema.ts'
import { rejections } from '../ekm/backend/capacity.ts'
import { BackendEvents } from './backend-events.ts'
import type { Gateway, GatewayOptions } from './gateway.ts'
import { closeBackends, openGeneration, type Surroundings } from './generation.ts'
import { RefusedLogins } from './refused-logins.ts'
import { RunningGateway } from './running-gateway.ts'
import { statuses } from '../http/proxy-error.ts'
import { operations } from '../http/route-table.ts'
import { whole } from './share.ts'
import { openLog } from '../telemetry/log.ts'
import { Metrics, type Vocabulary } from '../telemetry/metrics.ts'
import { clientRefusals } from '../tls/client.ts'
import { shedReasons } from '../tls/stranger.ts'

/**
 * Opens everything that the configuration names, examines the keys, then listens. A backend that cannot be reached is
 * tried again later.
 *
 * @param open how a backend is opened; tests inject faults
 * @throws OperatorError, and nothing is left open
 */
export async function startGateway(config: Config, open = openBackend, options: GatewayOptions = {}): Promise<Gateway> {
  const log = await openLog(config.log)
  let running: RunningGateway | undefined
  const metrics = new Metrics(() => ({ ...(running?.observe() ?? nothing), logLinesLost: log.lost }), vocabulary)
  try {
    const surroundings: Surroundings = {
      telemetry: { log, metrics },
      open,
      share: options.share ?? whole,
      logins: options.logins ?? new RefusedLogins(),
      events: new BackendEvents(),
      clientOf: (socket) => running?.listener.clientOf(socket) ?? { audit: {} },
    }
    const generation = await openGeneration(config, surroundings)
    try {
      running = new RunningGateway(generation, surroundings, options)
      await running.start()
      return running
    } catch (error) {
      await closeBackends(generation)
      throw error
    }
  } catch (error) {
    await log.close()
    throw error
  }
}

/** The label values of metrics. */
const vocabulary: Vocabulary = {
  operations,
  statuses,
  refusals: clientRefusals,
  shedReasons,
  rejections,
}

/** The state of a gateway that does not serve yet. */
const nothing = {
  backends: [],
  pools: [],
  keys: [],
  clients: [],
  connections: { allowed: 0, verified: 0, unverified: 0 },
}
