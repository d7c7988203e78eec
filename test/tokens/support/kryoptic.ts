import { mkdtempSync, renameSync, rmSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needed, initToken, type DeviceKind } from './device-kind.ts'

const { EKM_KRYOPTIC: module = '/usr/local/lib/libkryoptic_pkcs11.so' } = process.env

/** Kryoptic with a database of its own; the directory of it goes and comes back. */
export const kryopticTokens: DeviceKind = {
  product: { vendor: 'Kryoptic Project', name: 'v1 1.5' },
  dates: ['notBefore', 'expires'],
  make: () => {
    const directory = mkdtempSync(join(tmpdir(), 'ekm-kryoptic-'))
    const [present, absent] = [join(directory, 'token'), join(directory, 'away')]
    const conf = join(directory, 'token.conf')
    mkdirSync(present)
    writeFileSync(conf, `[[slots]]\nslot = 1\ndbtype = "sqlite"\ndbargs = "${join(present, 'token.sql')}"\n`)
    // By the environment, hosts that start later would get the token of the suite that was set up last.
    const library = { module: needed(module, 'kryoptic'), libraryParameters: `kryoptic_conf=${conf}` }
    initToken(library, 'ekm')
    return {
      ...library,
      label: 'ekm',
      takeAway: () => renameSync(present, absent),
      giveBack: () => renameSync(absent, present),
      remove: () => rmSync(directory, { recursive: true, force: true }),
    }
  },
}
