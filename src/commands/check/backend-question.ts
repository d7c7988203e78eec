import type { BackendConfig } from '../../backends/kinds.ts'
import type { PoolConfig } from '../../config/schema.ts'
import { quoted } from './words.ts'
import type { WrittenSettings } from './written-settings.ts'

export interface BackendQuestion {
  readonly name: string
  readonly settings: BackendConfig
  /** Those that use it. */
  readonly pools: readonly Pick<PoolConfig, 'name' | 'keys'>[]
  readonly deadlineMs: number
  readonly written: WrittenSettings
}

/** How to look at it without the gateway. */
export function commandFor(name: string, settings: BackendConfig, written: WrittenSettings): { command?: string } {
  if (settings.kind === 'pkcs11') return { command: `pkcs11-tool --module ${quoted(settings.module)} --list-token-slots` }
  if (settings.kind !== 'kmip') return {}
  const [server] = settings.servers
  const file = (setting: string) => quoted(written.path('backends', name, 'tls', setting) ?? `${setting}.pem`)
  const where = server === undefined ? 'HOST:5696' : `${server.host}:${server.port ?? 5696}`
  const files = `-CAfile ${file('ca')} -cert ${file('certificate')} -key ${file('key')}`
  return { command: `openssl s_client -connect ${where} ${files} </dev/null` }
} // prettier-ignore
