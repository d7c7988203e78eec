import * as v from 'valibot'
import { isKeyName, KEY_NAME_RULE } from '../../adapters/contract/index.ts'
import { logLevels } from '../telemetry/log.ts'
import { backend } from '../backends/kinds.ts'
import { clientEntry } from './clients.ts'
import { Credentials } from '../settings/credentials.ts'
import { trimSlashes } from './cross-check.ts'
import { network } from './networks.ts'
import { ticketKeyFile } from './ticket-keys.ts'
import {
  about,
  file,
  flag,
  integer,
  listOf,
  mapping,
  nonEmptyListOf,
  oneOf,
  path,
  secret,
  table,
  text,
  type References,
} from '../settings/fields.ts'

const tls = (references: References) =>
  v.pipe(
    mapping({
      certificate: v.exactOptional(
        about(
          'PEM file of the server certificate, followed by its intermediates. Its name must be the host name that Azure is told.',
          file(references),
        ),
      ),
      key: v.exactOptional(
        about("PEM file of the server certificate's private key.", file(references, { holds: 'secret' })),
      ),
      pkcs12: v.exactOptional(
        about('PKCS#12 file, in place of certificate and key.', file(references, { holds: 'secret' })),
      ),
      passphrase: v.exactOptional(about('What opens the key or the PKCS#12 file.', secret(references))),
    }),
    v.rawTransform(({ dataset, addIssue, NEVER }): Credentials => {
      const { certificate, key, pkcs12, passphrase } = dataset.value
      const pem = certificate && key && { cert: certificate, key }
      const pair = pkcs12 ? { pfx: pkcs12 } : pem
      if (pair === undefined || (pkcs12 !== undefined && (certificate !== undefined || key !== undefined))) {
        addIssue({ message: 'must have either certificate and key (PEM), or pkcs12' })
        return NEVER
      }
      const credentials = new Credentials(passphrase ? { ...pair, passphrase } : pair)
      const problem = credentials.problem()
      if (problem === undefined) return credentials
      addIssue({ message: `does not hold a usable certificate and key: ${problem}` })
      return NEVER
    }),
  )

const listen = (references: References) =>
  mapping({
    host: v.optional(about('The address to listen on.', text()), '0.0.0.0'),
    port: v.optional(about('The TCP port to listen on; 0 lets the system choose.', integer(0, 65535)), 8443),
    tls: about("The server's certificate and private key.", tls(references)),
    clientAuth: v.optional(
      about(
        'What a client meets whose certificate no pool trusts: "required" answers 401, "handshake" ends the handshake. "disabled" lets everybody in: development only.',
        oneOf(['required', 'handshake', 'disabled']),
      ),
      'required',
    ),
    proxyProtocol: v.optional(
      about(
        'Load balancers that send a PROXY header, version 1 or 2, before TLS: IP addresses and networks. From there it is required, from elsewhere it is refused.',
        listOf(network()),
      ),
      [],
    ),
    ticketKeys: v.exactOptional(
      about(
        "The keys of TLS session tickets, for gateways that are to resume each other's sessions. By default random at each start.",
        mapping({
          file: about('A file of 48 secret bytes, raw, in base64 or in hexadecimal.', ticketKeyFile(references)),
        }),
      ),
    ),
  })

const limits = () =>
  mapping({
    deadlineMs: v.optional(
      about(
        "Milliseconds from a request's complete header to its answer; Azure waits 250 from its first byte.",
        integer(1, 60_000),
      ),
      200,
    ),
    maxBodyBytes: v.optional(about('The largest request body, in bytes.', integer(1024, 1024 * 1024)), 65_536),
    idleConnectionMs: v.optional(
      about(
        "Milliseconds that an idle connection is kept; Azure's heartbeat comes every 20 000.",
        integer(1000, 3_600_000),
      ),
      300_000,
    ),
    keyCacheMs: v.optional(
      about(
        "Milliseconds that what a backend said of a key's type and size is enough to refuse a request.",
        integer(0, 60_000),
      ),
      5000,
    ),
    maxConnections: v.optional(
      about(
        'Connections at a time of clients that a pool allows; beyond it, the client certificate that has most loses an idle one.',
        integer(1, 100_000),
      ),
      1000,
    ),
    maxUnverifiedConnections: v.optional(
      about(
        'All other connections at a time, beside maxConnections; beyond it, the address that has most of them loses its oldest.',
        integer(1, 100_000),
      ),
      256,
    ),
    handshakeMs: v.optional(
      about('Milliseconds from a connection to the end of its TLS handshake.', integer(250, 60_000)),
      5000,
    ),
    headerMs: v.optional(
      about(
        "Milliseconds from a request's first byte, or the handshake, to its complete header.",
        integer(250, 60_000),
      ),
      10_000,
    ),
    drainDelayMs: v.optional(
      about(
        'Milliseconds from SIGTERM, when /readyz turns to 503, until no new connections are taken: longer than a load balancer needs to notice.',
        integer(0, 300_000),
      ),
      5000,
    ),
    drainMs: v.optional(
      about('Milliseconds that requests under way may still take at shutdown.', integer(0, 60_000)),
      5000,
    ),
  })

const reload = () =>
  mapping({
    watch: v.optional(about('Whether a change of the file, or of a file that it names, does.', flag()), true),
  })

const info = () =>
  mapping({
    proxyVendor: v.exactOptional(about('proxy_vendor in place of "ekm-gateway".', text())),
    proxyName: v.exactOptional(about('proxy_name in place of "ekm-gateway" and its version.', text())),
    ekmVendor: v.exactOptional(about('ekm_vendor in place of what the backend says of itself.', text())),
    ekmProduct: v.exactOptional(about('ekm_product in place of what the backend says of itself.', text())),
  })

const admin = () =>
  mapping({
    host: v.optional(
      about('The address to listen on. What is served there is neither encrypted nor protected.', text()),
      '127.0.0.1',
    ),
    port: v.optional(about('The TCP port to listen on; 0 lets the system choose.', integer(0, 65535)), 9464),
    hosts: v.optional(
      about(
        'Names by which others call the admin port, besides its address, localhost and admin.host: a Host header with another is refused.',
        listOf(hostName()),
      ),
      [],
    ),
  })

const hostName = () =>
  v.pipe(
    v.string(HOST_NAME_RULE),
    v.regex(/^(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$/, HOST_NAME_RULE),
  )
const HOST_NAME_RULE = 'must be a host name, without a port'

const log = (references: References) =>
  mapping({
    level: v.optional(
      about('The least severe lines to write; the audit records are always written.', oneOf(logLevels)),
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

const PREFIX_RULE = 'must be at most 64 characters of A-Z, a-z, 0-9, "/" and "-", without empty segments'

const pathPrefix = () =>
  v.pipe(
    v.string(PREFIX_RULE),
    v.regex(/^\/?(?:[A-Za-z0-9-]+(?:\/[A-Za-z0-9-]+)*\/?)?$/, PREFIX_RULE),
    v.transform(trimSlashes),
    v.maxLength(64, PREFIX_RULE),
  )

const keyEntry = () =>
  v.nullable(
    mapping({
      ref: v.exactOptional(about('Where the key is in the backend, if not under the same name.', text())),
      standby: v.exactOptional(
        about(
          'A second backend that holds the same key: used while the first is down, once both have shown that it is the same.',
          mapping({
            backend: about('The name of the second backend.', text()),
            ref: v.exactOptional(about('Where the key is there, if not under the same name.', text())),
          }),
        ),
      ),
    }),
  )

const keys = () =>
  v.union(
    [
      v.literal('all'),
      table(
        v.pipe(v.string(), v.check(isKeyName, `must be named with ${KEY_NAME_RULE}`)),
        keyEntry(),
        'must be "all", or a mapping of external key ids, each {}, or with ref and standby',
      ),
    ],
    'must be "all", or a mapping of external key ids, each {}, or with ref and standby',
  )

const poolLimits = () =>
  mapping({
    concurrency: v.exactOptional(
      about("Calls of this pool to one backend at once, where that is less than the backend's own.", integer(1, 4096)),
    ),
    requestsPerSecond: v.exactOptional(
      about('Requests for keys that are answered each second; the next is answered with 429.', integer(1, 1_000_000)),
    ),
  })

const pool = (references: References) =>
  mapping({
    name: about("The pool's name in the log.", text()),
    pathPrefix: v.optional(
      about(
        'What comes before the operation in the path: the --path-prefix that Azure is told. May be empty.',
        pathPrefix(),
      ),
      '',
    ),
    clients: v.optional(
      about('Who may use the pool: common names, each together with a root CA.', listOf(clientEntry(references))),
      [],
    ),
    backend: about('The name of the backend that has the keys.', text()),
    keys: about('External key ids that may be used, or "all" keys of the backend whose names can be such ids.', keys()),
    limits: v.optional(about('How much this pool may ask.', poolLimits()), {}),
    info: v.optional(about('What info answers for this pool, over the settings of the same name outside.', info()), {}),
  })

const backendName = () =>
  v.pipe(v.string(), v.regex(/^[A-Za-z0-9-]{1,64}$/, 'must be named with 1 to 64 characters of A-Z, a-z, 0-9 and "-"'))

export const backendsSchema = (references: References) =>
  table(backendName(), backend(references), 'must be a mapping from a name to a backend')

export const configSchema = (references: References) =>
  mapping({
    listen: about('Where the EKM Proxy API is served.', listen(references)),
    workers: v.optional(
      about(
        'Processes that serve, "auto" for one per core. Beyond one, a process more starts, watches and replaces them.',
        v.union([v.literal('auto'), integer(1, 64)], 'must be "auto" or a whole number from 1 to 64'),
      ),
      1,
    ),
    reload: v.optional(about('What makes the gateway read its configuration again, besides SIGHUP.', reload()), {}),
    limits: v.optional(about('Times and sizes.', limits()), {}),
    info: v.optional(about('What info answers.', info()), {}),
    admin: v.exactOptional(
      about('Where /healthz, /readyz, /status and /metrics are served; nowhere if this is absent.', admin()),
    ),
    log: v.optional(about('Log and audit trail: one JSON object a line.', log(references)), {}),
    backends: about('What holds the keys, each under a name that pools refer to.', backendsSchema(references)),
    pools: about('One for each Azure Managed HSM.', nonEmptyListOf(pool(references))),
  })

/** The whole configuration: complete, checked, every reference followed. */
export type Config = v.InferOutput<ReturnType<typeof configSchema>>
export type PoolConfig = Config['pools'][number]
export type InfoConfig = Config['info']
export type Limits = Config['limits']
