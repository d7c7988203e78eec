import { rowOf, type BackendConfig } from '../../backends/index.ts'
import type { PoolConfig } from '../../config/schema.ts'
import type { WrittenSettings } from './written-settings.ts'

export interface BackendQuestion {
  readonly name: string
  readonly settings: BackendConfig
  /** The pools that use it. */
  readonly pools: readonly Pick<PoolConfig, 'name' | 'keys'>[]
  readonly deadlineMs: number
  readonly written: WrittenSettings
}

/** The command that examines the backend without the gateway. `code` says why the backend does not open. */
export function commandFor({ name, settings, written }: BackendQuestion, code?: string): { readonly command?: string } {
  const { check } = rowOf(settings)
  const command = check.command(settings, (...setting) => written.path('backends', name, ...setting), code)
  return command === undefined ? {} : { command }
}
