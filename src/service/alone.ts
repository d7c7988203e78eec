import type { ConfigContents } from '../config/make.ts'
import type { Config } from '../config/schema.ts'
import { tellDescriptors } from '../gateway/descriptors.ts'
import { startGateway } from '../gateway/start.ts'
import { whole } from '../gateway/share.ts'
import { ServiceEvents } from '../telemetry/service-metrics.ts'
import { ExpiryWatch } from '../tls/expiry.ts'
import { isAboutBackends, Reloader, type ReloadCause } from './reload.ts'
import type { Service, Start } from './service.ts'
import { answers } from './workers/messages.ts'

/** Milliseconds between attempts to open backends that could not be reached at start. */
const OPEN_AGAIN_MS = 1000

/** Serves in this process. */
export async function startAlone({ file, variables, loaded }: Start): Promise<Service> {
  const gateway = await startGateway(loaded.config)
  const { log, port } = gateway
  await tellDescriptors(log, loaded.config, whole)
  const expiry = new ExpiryWatch(log, loaded.config)
  const events = new ServiceEvents()
  let ended = false
  const apply = async (config: Config, _contents: ConfigContents, cause: ReloadCause) => {
    const prepared = await gateway.prepare(config)
    if (ended) await prepared.abort()
    else {
      prepared.commit()
      if (isAboutBackends(cause, prepared.changed)) gateway.reconsiderAway()
    }
    expiry.follow(config)
    await tellDescriptors(log, config, whole)
    return prepared.changed
  }
  const reloader = new Reloader({ file, variables, log, events, apply }, loaded)
  const opening = setInterval(() => void gateway.openAway(), OPEN_AGAIN_MS).unref()
  const end = () => {
    ended = true
    clearInterval(opening)
    expiry.close()
    reloader.close()
  }
  return {
    port,
    log,
    workers: 1,
    retire: async () => gateway.retire(),
    get config() {
      return gateway.config
    },
    get draining() {
      return gateway.status().draining
    },
    collect: async (question) => [await answers[question](gateway)],
    certificateDaysLeft: () => expiry.daysLeft(),
    listDaysLeft: () => expiry.listDaysLeft(),
    listGaps: () => expiry.listGaps(),
    events,
    logLinesLost: () => 0,
    reload: (cause) => reloader.reload(cause),
    drain: async () => {
      end()
      return gateway.drain()
    },
  }
}
