import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret, type Report } from '../../adapters/contract/index.ts'
import type { SoftwareOptions } from '../../adapters/software/index.ts'
import type { ScryptCost } from '../../adapters/software/passphrase.ts'
import { KeyStore } from '../../adapters/software/store.ts'
import type { StoredKey } from '../../adapters/software/stored-key.ts'

/** The cheapest cost of a store, for tests of other behaviour. */
export const quickCost: ScryptCost = { N: 2 ** 14, r: 1, p: 1 }

export const secret = (text: string): Secret => new Secret(new TextEncoder().encode(text))

export const PASSPHRASE = 'correct horse battery staple'

export interface TemporaryStore extends SoftwareOptions {
  readonly store: KeyStore
  readonly remove: () => Promise<void>
}

export async function temporaryDirectory(): Promise<{
  readonly directory: string
  readonly remove: () => Promise<void>
}> {
  const parent = await mkdtemp(join(tmpdir(), 'ekm-gateway-test-'))
  return { directory: join(parent, 'keys'), remove: () => rm(parent, { recursive: true, force: true }) }
}

/** An empty store that opens quickly. */
export async function temporaryStore(): Promise<TemporaryStore> {
  const { directory, remove } = await temporaryDirectory()
  const options = { directory, passphrase: secret(PASSPHRASE) }
  return { ...options, store: await KeyStore.openOrCreate(options, quickCost), remove }
}

/** A new AES key that is in no store yet. */
export const octKey = (name: string, enabled = true) =>
  ({
    name,
    jwk: { kty: 'oct', k: randomBytes(32).toString('base64url') },
    enabled,
    created: new Date('2026-01-02T03:04:05Z'),
  }) as const satisfies StoredKey

/** An adapter's reports to the operator, in order. */
export class Reports {
  readonly all: { level: string; event: string; fields: Readonly<Record<string, string | number | boolean>> }[] = []
  readonly report: Report = (level, event, fields) => {
    this.all.push({ level, event, fields })
  }

  of(event: string, key: string) {
    return this.all.filter((entry) => entry.event === event && entry.fields['key'] === key)
  }
}
