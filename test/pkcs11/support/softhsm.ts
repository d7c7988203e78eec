import { execFileSync } from 'node:child_process'
import { accessSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '../../../adapters/contract/index.ts'
import type { Pkcs11Options } from '../../../adapters/pkcs11/index.ts'
import type { TokenKind } from './token-kind.ts'

export const MODULE = '/usr/lib/softhsm/libsofthsm2.so'
export const PIN = '648219'
const SO_PIN = '975310'

/** A separate directory of tokens, which this process and its children find through SOFTHSM2_CONF. */
export interface SoftHsm {
  readonly directory: string
  /** Initialises a token, or an existing one of that label again. */
  initToken(label: string, pin?: string): void
  /** Makes another token with an existing label. */
  initSecond(label: string): void
  /** Hides every token from processes that start now, or shows them again. */
  hideTokens(hidden: boolean): void
  /** Has processes that start now see other tokens, of which there are none at first. */
  showOthers(): void
  options(label: string, more?: Partial<Pkcs11Options>): Pkcs11Options
  remove(): void
}

/** Requires SoftHSM: a suite that skips would pass without testing anything. */
export function softHsm(): SoftHsm {
  try {
    accessSync(MODULE)
    execFileSync('softhsm2-util', ['--version'], { stdio: 'ignore' })
  } catch {
    throw new Error('SoftHSM is missing: run apt-get update && apt-get install -y softhsm2')
  }
  const directory = mkdtempSync(join(tmpdir(), 'ekm-softhsm-'))
  const conf = join(directory, 'softhsm2.conf')
  mkdirSync(join(directory, 'tokens'))
  for (const name of ['nothing', 'others']) mkdirSync(join(directory, name))
  const configure = (tokens: string) =>
    writeFileSync(
      conf,
      `directories.tokendir = ${join(directory, tokens)}\nobjectstore.backend = file\nlog.level = ERROR\n`,
    )
  configure('tokens')
  process.env['SOFTHSM2_CONF'] = conf
  return {
    directory,
    initToken: (label, pin = PIN) => {
      const select = hasToken(label) ? ['--token', label] : ['--free']
      util(['--init-token', ...select, '--label', label, '--pin', pin, '--so-pin', SO_PIN])
    },
    initSecond: (label) => {
      util(['--init-token', '--free', '--label', label, '--pin', PIN, '--so-pin', SO_PIN])
    },
    hideTokens: (hidden) => configure(hidden ? 'nothing' : 'tokens'),
    showOthers: () => configure('others'),
    options: (label, more = {}) => ({
      module: MODULE,
      token: { label },
      pin: new Secret(Buffer.from(PIN)),
      sessions: 2,
      ...more,
    }),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  }
}

const util = (options: readonly string[]) => execFileSync('softhsm2-util', options, { stdio: 'pipe' }).toString()

const hasToken = (label: string) => new RegExp(`^ +Label: +${label} *$`, 'm').test(util(['--show-slots']))

/** For the common suites. */
export const softHsmTokens: TokenKind = {
  product: { vendor: 'SoftHSM project', name: 'SoftHSM v2 2.6' },
  dates: ['notBefore', 'expires'],
  make: () => {
    const hsm = softHsm()
    hsm.initToken('ekm')
    return { module: MODULE, label: 'ekm', remove: () => hsm.remove() }
  },
}
