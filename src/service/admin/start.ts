import { OncePer } from '../../base/once-per.ts'
import { isLoopback } from '../../base/loopback.ts'
import type { Config } from '../../config/schema.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Service } from '../service.ts'
import { serveAdmin } from './server.ts'
import { TokenGate } from './token.ts'
import { adminView } from './view.ts'

/** How often what pools are asked goes into their history. */
const RECORD_MS = 5000
/** Who guesses tokens fills no log. */
const TELL_REFUSALS_MS = 60_000

function warnOfOpenAdmin(log: Log, { host, token }: NonNullable<Config['admin']>): void {
  if (token !== undefined || isLoopback(host)) return
  const message = 'whoever reaches this port can read it: set admin.token, or admin.host to 127.0.0.1'
  log.warn('admin_open', { host, message })
}

/** The admin port serves until the gateway has drained, so that load balancers see it drain. */
export async function withAdmin(service: Service, admin: NonNullable<Config['admin']>): Promise<Service> {
  const { log, events } = service
  const view = adminView(service)
  const told = new OncePer(TELL_REFUSALS_MS)
  const gate = new TokenGate(
    () => service.config.admin?.token,
    (reason, address) => {
      events.adminRefused(reason)
      if (reason !== 'missing' && told.isDue()) log.warn('admin_refused', { remote_address: address, reason })
    },
  )
  try {
    const server = await serveAdmin(admin, view, gate)
    log.info('admin_listening', { host: admin.host, port: server.port })
    warnOfOpenAdmin(log, admin)
    const recording = setInterval(() => void view.record().catch(() => undefined), RECORD_MS).unref()
    const end = () => {
      clearInterval(recording)
      return server.close()
    }
    const drain = service.drain.bind(service)
    return Object.assign(service, { drain: () => drain().finally(end) })
  } catch (error) {
    await service.drain()
    throw error
  }
}
