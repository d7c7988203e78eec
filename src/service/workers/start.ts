import { randomBytes } from 'node:crypto'
import { assertReloadable, changedSettings } from '../../config/compare.ts'
import { TICKET_KEY_BYTES } from '../../config/ticket-keys.ts'
import { announce } from '../../gateway/announce.ts'
import { tellDescriptors } from '../../gateway/descriptors.ts'
import { openLog } from '../../telemetry/log.ts'
import { ServiceEvents } from '../../telemetry/service-metrics.ts'
import { ExpiryWatch } from '../../tls/expiry.ts'
import { isAboutBackends, Reloader } from '../reload.ts'
import type { Service, Start } from '../service.ts'
import { WorkerGroup, type WorkerGroupOptions } from './group.ts'

const COLLECT_MS = 1000

/** Serves in `count` other processes, which this one watches. */
export async function startWorkers(
  { file, variables, loaded }: Start,
  count: number,
  options: Pick<WorkerGroupOptions, 'exec' | 'prepareMs' | 'pingMs'>,
): Promise<Service> {
  let { config } = loaded
  const log = await openLog(config.log)
  const { destination } = config.log
  const events = new ServiceEvents()
  const started = await WorkerGroup.start(
    { ...options, count, file, log, events, destination, ticketKeys: randomBytes(TICKET_KEY_BYTES) },
    loaded.contents,
  ).catch(async (error: unknown) => {
    await log.close()
    throw error
  })
  const { group, port } = started
  announce(log, config, port, count)
  // The first share is the largest.
  const share = { index: 0, count }
  await tellDescriptors(log, config, share)
  const expiry = new ExpiryWatch(log, config)
  const apply: ConstructorParameters<typeof Reloader>[0]['apply'] = async (next, contents, cause) => {
    const changed = changedSettings(config, next)
    assertReloadable(changed)
    await group.reload(contents, isAboutBackends(cause, changed))
    config = next
    expiry.follow(next)
    await tellDescriptors(log, next, share)
    return changed
  }
  const reloader = new Reloader({ file, variables, log, events, apply }, loaded)
  const retire = async () => {
    if (group.draining) return
    log.info('draining', { workers: count })
    await group.retire()
  }
  return {
    port,
    log,
    workers: count,
    retire,
    get config() {
      return config
    },
    get draining() {
      return group.draining
    },
    collect: (question, patienceMs = COLLECT_MS) => group.collect(question, patienceMs),
    certificateDaysLeft: () => expiry.daysLeft(),
    listDaysLeft: () => expiry.listDaysLeft(),
    listGaps: () => expiry.listGaps(),
    events,
    logLinesLost: () => log.lost,
    reload: (cause) => reloader.reload(cause),
    drain: async () => {
      expiry.close()
      reloader.close()
      await retire()
      const cutOff = await group.drain(config.limits.drainMs)
      log.info('stopped', { requests_cut_off: cutOff })
      await log.close()
      return cutOff
    },
  }
}
