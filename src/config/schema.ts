import * as v from 'valibot'
import { logLevels } from '../telemetry/log-levels.ts'
import { backendSchema } from '../backends/index.ts'
import { admin } from './admin.ts'
import { listen } from './listen.ts'
import { info, pool } from './pool.ts'
import {
  about,
  flag,
  integer,
  mapping,
  nonEmptyListOf,
  oneOf,
  path,
  table,
  type References,
} from '../settings/fields.ts'

/** Milliseconds; 50 fewer than Azure waits. */
export const DEFAULT_DEADLINE_MS = 200

const limits = () =>
  mapping({
    deadlineMs: v.optional(
      about(
        "Milliseconds from a request's complete header to its answer. Azure waits 250 ms from the request's first byte.",
        integer(1, 60_000),
      ),
      DEFAULT_DEADLINE_MS,
    ),
    maxBodyBytes: v.optional(about('The largest request body, in bytes.', integer(1024, 1024 * 1024)), 65_536),
    idleConnectionMs: v.optional(
      about(
        'Milliseconds for which an idle connection is kept. Azure sends a heartbeat every 20 000 ms.',
        integer(1000, 3_600_000),
      ),
      300_000,
    ),
    keyCacheMs: v.optional(
      about(
        "Milliseconds for which a key's type and size, as the backend gave them, are remembered to refuse requests that do not fit.",
        integer(0, 60_000),
      ),
      5000,
    ),
    maxConnections: v.optional(
      about(
        'The most connections of clients that a pool allows. Above it, the client certificate with the most connections loses an idle one.',
        integer(1, 100_000),
      ),
      1000,
    ),
    maxUnverifiedConnections: v.optional(
      about(
        'The most other connections, besides maxConnections. Above it, the address with the most of them loses its oldest.',
        integer(1, 100_000),
      ),
      256,
    ),
    handshakeMs: v.optional(
      about('Milliseconds from the start of a connection to the end of its TLS handshake.', integer(250, 60_000)),
      5000,
    ),
    headerMs: v.optional(
      about(
        "Milliseconds from a request's first byte, or from the end of the handshake, to the request's complete header.",
        integer(250, 60_000),
      ),
      10_000,
    ),
    drainDelayMs: v.optional(
      about(
        'Milliseconds from SIGTERM, when /readyz turns to 503, until new connections are refused. It must be longer than a load balancer needs to notice.',
        integer(0, 300_000),
      ),
      5000,
    ),
    drainMs: v.optional(
      about('Milliseconds that running requests may still take at shutdown.', integer(0, 60_000)),
      5000,
    ),
  })

const reload = () =>
  mapping({
    watch: v.optional(about('Whether to reload when the file, or a file that it names, has changed.', flag()), true),
  })

const log = (references: References) =>
  mapping({
    level: v.optional(
      about('The least severe level to write. Audit records are always written.', oneOf(logLevels)),
      'info',
    ),
    destination: v.optional(
      about(
        'stdout, stderr, or the path of a file to append to.',
        v.union([v.picklist(['stdout', 'stderr']), path(references)], 'must be stdout, stderr or the path of a file'),
      ),
      'stdout',
    ),
  })

const backendName = () =>
  v.pipe(v.string(), v.regex(/^[A-Za-z0-9-]{1,64}$/, 'must be named with 1 to 64 characters of A-Z, a-z, 0-9 and "-"'))

export const backendsSchema = (references: References) =>
  table(backendName(), backendSchema(references), 'must be a mapping from a name to a backend')

export const configSchema = (references: References) =>
  mapping({
    listen: about('Where the EKM Proxy API is served.', listen(references)),
    workers: v.optional(
      about(
        'How many processes serve, or "auto" for one per core. With more than one, a further process starts, watches and replaces them.',
        v.union([v.literal('auto'), integer(1, 64)], 'must be "auto" or a whole number from 1 to 64'),
      ),
      1,
    ),
    reload: v.optional(about('What makes the gateway reload its configuration, besides SIGHUP.', reload()), {}),
    limits: v.optional(about('Limits on times, sizes and connections.', limits()), {}),
    info: v.optional(about('What info answers.', info()), {}),
    admin: v.exactOptional(
      about(
        'The admin port: where the status page, /healthz, /readyz, /status and /metrics are served. Without it there is none.',
        admin(references),
      ),
    ),
    log: v.optional(about('Log and audit trail: one JSON object a line.', log(references)), {}),
    backends: about('What holds the keys: each backend under a name that pools refer to.', backendsSchema(references), {
      store: { kind: 'software', directory: 'keys', passphrase: { file: 'passphrase' } },
    }),
    pools: about('The pools: one for each Azure Managed HSM.', nonEmptyListOf(pool(references)), [
      {
        name: 'contoso',
        clients: [{ azureCertificate: 'contoso.json' }],
        backend: 'hsm',
        keys: { 'payroll-2027': {} },
      },
    ]),
  })

/** The whole configuration: complete, validated, with every reference resolved. */
export type Config = v.InferOutput<ReturnType<typeof configSchema>>
export type PoolConfig = Config['pools'][number]
export type InfoConfig = Config['info']
export type Limits = Config['limits']
