import * as v from 'valibot'
import { isKeyName, KEY_NAME_RULE } from '../../adapters/contract/index.ts'
import { logLevels } from '../telemetry/log.ts'
import { clientEntry } from './clients.ts'
import { Credentials } from './credentials.ts'
import { trimSlashes } from './cross-check.ts'
import { file, integer, listOf, mapping, oneOf, path, secret, text, type References } from './fields.ts'

const tls = (references: References) =>
  v.pipe(
    mapping({
      certificate: v.exactOptional(file(references)),
      key: v.exactOptional(file(references)),
      pkcs12: v.exactOptional(file(references)),
      passphrase: v.exactOptional(secret(references)),
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
    host: v.optional(text(), '0.0.0.0'),
    port: v.optional(integer(0, 65535), 8443),
    tls: tls(references),
    clientAuth: v.optional(oneOf(['required', 'disabled']), 'required'),
  })

const limits = () =>
  mapping({
    /** From a request's first byte to its answer; Azure waits 250 ms. */
    deadlineMs: v.optional(integer(1, 60_000), 200),
    maxBodyBytes: v.optional(integer(1024, 1024 * 1024), 65_536),
    /** How long an idle connection is kept. Azure's heartbeat comes every 20 seconds. */
    idleConnectionMs: v.optional(integer(1000, 3_600_000), 300_000),
    /** How long what a backend said of a key is believed. */
    keyCacheMs: v.optional(integer(0, 60_000), 5000),
    /** At shutdown, how long requests under way may take. */
    drainMs: v.optional(integer(0, 60_000), 5000),
  })

const info = () =>
  mapping({
    proxyVendor: v.exactOptional(text()),
    proxyName: v.exactOptional(text()),
    ekmVendor: v.exactOptional(text()),
    ekmProduct: v.exactOptional(text()),
  })

const log = (references: References) =>
  mapping({
    level: v.optional(oneOf(logLevels), 'info'),
    destination: v.optional(
      v.union([v.picklist(['stdout', 'stderr']), path(references)], 'must be stdout, stderr or the path of a file'),
      'stdout',
    ),
  })

/** One row for each kind of backend: the settings that an operator gives it. `src/backends.ts` has its module. */
const backend = (references: References) =>
  v.variant(
    'kind',
    [mapping({ kind: v.literal('software'), directory: path(references), passphrase: secret(references) })],
    ({ expected }) =>
      `must be a mapping whose kind is one of: ${expected?.replaceAll('"', '').replaceAll(' | ', ', ')}`,
  )

const PREFIX_RULE = 'must be at most 64 characters of A-Z, a-z, 0-9, "/" and "-", without empty segments'

const pathPrefix = () =>
  v.pipe(
    v.string(PREFIX_RULE),
    v.transform(trimSlashes),
    v.maxLength(64, PREFIX_RULE),
    v.regex(/^(?:[A-Za-z0-9-]+(?:\/[A-Za-z0-9-]+)*)?$/, PREFIX_RULE),
  )

const keyEntry = () => v.nullable(mapping({ ref: v.exactOptional(text()) }))

const keys = () =>
  v.union(
    [
      v.literal('all'),
      v.record(v.pipe(v.string(), v.check(isKeyName, `must be named with ${KEY_NAME_RULE}`)), keyEntry()),
    ],
    ({ issues }) => {
      const inner = issues?.find((issue) => issue.path !== undefined)?.message
      return inner ?? 'must be "all", or a mapping of external key ids, each {} or { ref: … }'
    },
  )

const pool = (references: References) =>
  mapping({
    name: text(),
    pathPrefix: v.optional(pathPrefix(), ''),
    clients: v.optional(listOf(clientEntry(references)), []),
    backend: text(),
    keys: keys(),
    info: v.optional(info(), {}),
  })

const backendName = () =>
  v.pipe(v.string(), v.regex(/^[A-Za-z0-9-]{1,64}$/, 'must be named with 1 to 64 characters of A-Z, a-z, 0-9 and "-"'))

export const backendsSchema = (references: References) =>
  v.record(backendName(), backend(references), 'must be a mapping from a name to a backend')

export const configSchema = (references: References) =>
  mapping({
    listen: listen(references),
    limits: v.optional(limits(), {}),
    info: v.optional(info(), {}),
    log: v.optional(log(references), {}),
    backends: backendsSchema(references),
    pools: v.pipe(listOf(pool(references)), v.minLength(1, 'must name at least one pool')),
  })

/** The whole configuration: complete, checked, every reference followed. */
export type Config = v.InferOutput<ReturnType<typeof configSchema>>
export type BackendConfig = Config['backends'][string]
export type BackendKind = BackendConfig['kind']
export type PoolConfig = Config['pools'][number]
export type InfoConfig = Config['info']
export type Limits = Config['limits']
