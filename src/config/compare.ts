import { createHmac, randomBytes, X509Certificate, type Hmac } from 'node:crypto'
import { OperatorError, Secret } from '../../adapters/contract/index.ts'
import { Credentials } from '../settings/credentials.ts'
import type { Config } from './schema.ts'

/** A key of this process alone, so that a digest tells nobody anything about a secret. */
const key = randomBytes(32)

/** A digest of settings, secrets included. Under one key, equal settings have equal digests. It is never logged. */
export function digestOf(settings: unknown, under: Uint8Array = key): string {
  const hmac = createHmac('sha256', under)
  feed(hmac, settings)
  return hmac.digest('base64')
}

/** Writes each value with its type and length in front, so that no two values are encoded alike. */
function feed(hmac: Hmac, value: unknown): void {
  if (value instanceof Secret) {
    const bytes = value.reveal()
    feedBytes(hmac, 'secret', bytes)
    bytes.fill(0)
  } else if (value instanceof Uint8Array) feedBytes(hmac, 'bytes', value)
  else if (value instanceof X509Certificate) feedBytes(hmac, 'certificate', value.raw)
  else if (value instanceof Credentials) feed(hmac, value.secureContextOptions())
  else if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
    hmac.update(`${Array.isArray(value) ? 'list' : 'mapping'} ${members.length}\n`)
    for (const [name, member] of members) {
      feedBytes(hmac, 'name', Buffer.from(name))
      feed(hmac, member)
    }
  } else feedBytes(hmac, typeof value, Buffer.from(String(value)))
}

function feedBytes(hmac: Hmac, kind: string, bytes: Uint8Array): void {
  hmac.update(`${kind} ${bytes.length}\n`).update(bytes)
}

/** The names of the settings that differ between two configurations: `listen.tls`, `backends.hsm`, `pools.contoso`. */
export function changedSettings(before: Config, after: Config): string[] {
  const [old, now] = [settingsByName(before), settingsByName(after)]
  return [...new Set([...old.keys(), ...now.keys()])].filter(
    (name) => digestOf(old.get(name)) !== digestOf(now.get(name)),
  )
}

function settingsByName(config: Config): Map<string, unknown> {
  const { pools, ...sections } = config
  const named = new Map<string, unknown>()
  for (const [section, settings] of Object.entries({ ...sections, pools: byName(pools) })) {
    if (typeof settings !== 'object') named.set(section, settings)
    else for (const [name, value] of Object.entries(settings)) named.set(`${section}.${name}`, value)
  }
  return named
}

const byName = (pools: Config['pools']) => Object.fromEntries(pools.map((pool) => [pool.name, pool]))

/** Of the admin port. Its token can be changed. */
const fixedOfAdmin = ['admin.host', 'admin.port', 'admin.hosts']
/** Sections and settings that a process cannot change while it runs. */
const FIXED: readonly string[] = ['listen.host', 'listen.port', 'listen.clientAuth', 'workers', 'log', ...fixedOfAdmin]

/** @throws OperatorError `RESTART_NEEDED` if one of `changed` requires a restart */
export function assertReloadable(changed: readonly string[]): void {
  const fixed = changed.filter((name) => FIXED.some((setting) => name === setting || name.startsWith(`${setting}.`)))
  if (fixed.length === 0) return
  throw new OperatorError(
    'RESTART_NEEDED',
    `${fixed.join(', ')} cannot change while the gateway runs: restart the gateway, or undo the change`,
  )
}
