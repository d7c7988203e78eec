import { execFileSync } from 'node:child_process'
import { accessSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '../../../adapters/contract/index.ts'
import type { Pkcs11Options } from '../../../adapters/pkcs11/index.ts'
import { PIN } from './softhsm.ts'
import type { TokenKind } from './token-kind.ts'
import { onToken, type Attributes } from './token-objects.ts'

const places = ['/usr/lib/x86_64-linux-gnu/', '/usr/lib/x86_64-linux-gnu/nss/', '/usr/lib/aarch64-linux-gnu/']

/** The label of the token in every NSS database. */
export const NSS_LABEL = 'NSS Certificate DB'

/** A separate database of NSS softokn. */
export interface Nss {
  readonly directory: string
  readonly module: string
  /** The argument of C_Initialize, with `flags` in NSS's terms. */
  parameters(flags?: string): string
  /** Makes an AES key of this value. */
  aes(label: string, more: Attributes, value: Uint8Array): void
  options(more?: Partial<Pkcs11Options>): Pkcs11Options
  remove(): void
}

/**
 * Requires NSS: a suite that skips would pass without testing anything. NSS stretches the password for each use of a
 * private key, so that an RSA-2048 unwrap takes 85 ms. `iterations` reduces that to 2 ms for tests of other behaviour.
 */
export function nss(iterations?: number): Nss {
  const directory = mkdtempSync(join(tmpdir(), 'ekm-nss-'))
  const password = join(directory, 'password')
  writeFileSync(password, `${PIN}\n`)
  const module = moduleOf()
  const limit = 'NSS_MAX_MP_PBE_ITERATION_COUNT'
  if (iterations === undefined) Reflect.deleteProperty(process.env, limit)
  else process.env[limit] = String(iterations)
  execFileSync('certutil', ['-N', '-d', `sql:${directory}`, '-f', password], { stdio: 'pipe' })
  const parameters = (flags = '') => `configdir='sql:${directory}' ${flags && `flags=${flags}`}`.trim()
  return {
    directory,
    module,
    parameters,
    aes: (label, more, value) =>
      onToken(NSS_LABEL, (objects) => objects.aes(label, more, value), PIN, {
        module,
        libraryParameters: parameters(),
      }),
    options: (more = {}) => ({
      module,
      libraryParameters: parameters(),
      token: { label: NSS_LABEL },
      pin: new Secret(Buffer.from(PIN)),
      sessions: 2,
      ...more,
    }),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

function moduleOf(): string {
  for (const place of places) {
    try {
      const path = `${place}libsoftokn3.so`
      accessSync(path)
      return path
    } catch {
      continue
    }
  }
  throw new Error('NSS softokn is missing: run apt-get update && apt-get install -y libnss3 libnss3-tools')
}

/** For the common suites. */
export const nssTokens: TokenKind = {
  product: { vendor: 'Mozilla Foundation', name: 'NSS 3' },
  dates: ['notBefore', 'expires'],
  make: () => {
    const database = nss(1)
    return {
      module: database.module,
      libraryParameters: database.parameters(),
      label: NSS_LABEL,
      remove: () => database.remove(),
    }
  },
}
