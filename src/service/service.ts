import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { serveAdmin } from './admin/server.ts'
import { adminSource } from './admin/source.ts'
import type { Config } from '../config/schema.ts'
import { TICKET_KEY_BYTES } from '../config/ticket-keys.ts'
import type { Variables } from '../settings/variables.ts'
import { announce, startGateway } from '../gateway/gateway.ts'
import { readConfig, Reloader, type LoadedConfig, type ReloadCause } from './reload.ts'
import { openLog, type Log } from '../telemetry/log.ts'
import { ExpiryWatch, type CertificateDaysLeft, type ListDaysLeft } from '../tls/expiry.ts'
import { WorkerGroup, type WorkerGroupOptions } from './workers/group.ts'
import { answers, type Answers } from './workers/messages.ts'

/** The whole gateway, in one process or in several, as its operator and the admin port see it. */
export interface Service {
  readonly port: number
  readonly log: Log
  /** The configuration it serves by. */
  readonly config: Config
  readonly draining: boolean
  /** Asks every process that serves; who does not answer within `patienceMs` is left out. */
  collect<Question extends keyof Answers>(question: Question, patienceMs?: number): Promise<Answers[Question][]>
  certificateDaysLeft(): CertificateDaysLeft[]
  listDaysLeft(): ListDaysLeft[]
  /** Reads the configuration again. Resolves when it is done; the log says what came of it. */
  reload(cause: ReloadCause): Promise<void>
  /** As {@link Gateway.retire} says, in every process. */
  retire(): Promise<void>
  /** Ends as {@link Gateway.drain} says, in every process. */
  drain(): Promise<number>
}

const COLLECT_MS = 1000
/** How often backends that were away at the start are tried. */
const OPEN_AGAIN_MS = 1000

/** Rejects with an OperatorError, and then leaves nothing open. */
export async function startService(
  file: string,
  variables: Variables,
  options: Pick<WorkerGroupOptions, 'exec' | 'prepareMs' | 'pingMs'> = {},
): Promise<Service> {
  const loaded = readConfig(file, variables)
  const { workers } = loaded.config
  const count = workers === 'auto' ? availableParallelism() : workers
  const start: Start = { file, variables, loaded }
  const service = count === 1 ? await startAlone(start) : await startWorkers(start, count, options)
  const { admin } = loaded.config
  return admin === undefined ? service : withAdmin(service, admin)
}

/** The admin port serves until the gateway has drained: whoever balances load has to see that it does. */
async function withAdmin(service: Service, admin: NonNullable<Config['admin']>): Promise<Service> {
  try {
    const server = await serveAdmin(admin, adminSource(service))
    service.log.info('admin_listening', { host: admin.host, port: server.port })
    const drain = service.drain.bind(service)
    return Object.assign(service, { drain: () => drain().finally(() => server.close()) })
  } catch (error) {
    await service.drain()
    throw error
  }
}

interface Start {
  readonly file: string
  readonly variables: Variables
  readonly loaded: LoadedConfig
}

async function startAlone({ file, variables, loaded }: Start): Promise<Service> {
  const gateway = await startGateway(loaded.config)
  const { log, port } = gateway
  const expiry = new ExpiryWatch(log, loaded.config)
  const apply = async (config: Config) => {
    const prepared = await gateway.prepare(config)
    if (gateway.status().draining) await prepared.abort()
    else prepared.commit()
    expiry.follow(config)
    return prepared.changed
  }
  const reloader = new Reloader({ file, variables, log, apply }, loaded)
  const opening = setInterval(() => void gateway.openAway(), OPEN_AGAIN_MS).unref()
  const retire = async () => {
    clearInterval(opening)
    expiry.close()
    reloader.close()
    gateway.retire()
  }
  return {
    port,
    log,
    retire,
    get config() {
      return gateway.config
    },
    get draining() {
      return gateway.status().draining
    },
    collect: async (question) => [await answers[question](gateway)],
    certificateDaysLeft: () => expiry.daysLeft(),
    listDaysLeft: () => expiry.listDaysLeft(),
    reload: (cause) => reloader.reload(cause),
    drain: async () => {
      await retire()
      return gateway.drain()
    },
  }
}

async function startWorkers(
  { file, variables, loaded }: Start,
  count: number,
  options: Pick<WorkerGroupOptions, 'exec' | 'prepareMs' | 'pingMs'>,
): Promise<Service> {
  let { config } = loaded
  const log = await openLog(config.log)
  const { destination } = config.log
  const started = await WorkerGroup.start(
    { ...options, count, file, log, destination, ticketKeys: randomBytes(TICKET_KEY_BYTES) },
    loaded.contents,
  ).catch(async (error: unknown) => {
    await log.close()
    throw error
  })
  const { group, port } = started
  announce(log, config, port, count)
  const expiry = new ExpiryWatch(log, config)
  const apply: ConstructorParameters<typeof Reloader>[0]['apply'] = async (next, contents) => {
    const changed = await group.reload(contents)
    config = next
    expiry.follow(next)
    return changed
  }
  const reloader = new Reloader({ file, variables, log, apply }, loaded)
  const retire = async () => {
    if (group.draining) return
    expiry.close()
    reloader.close()
    log.info('draining', { workers: count })
    await group.retire()
  }
  return {
    port,
    log,
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
    reload: (cause) => reloader.reload(cause),
    drain: async () => {
      await retire()
      const cutOff = await group.drain(config.limits.drainMs)
      log.info('stopped', { requests_cut_off: cutOff })
      await log.close()
      return cutOff
    },
  }
}
