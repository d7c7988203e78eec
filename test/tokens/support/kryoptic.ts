import { mkdtempSync, renameSync, rmSync, mkdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { needed, initToken, type DeviceKind } from './device-kind.ts'

const { EKM_KRYOPTIC: module = '/usr/local/lib/libkryoptic_pkcs11.so' } = process.env

/** Kryoptic with a separate database, whose directory can be moved away and back. */
export const kryopticTokens: DeviceKind = {
  product: { vendor: 'Kryoptic Project', name: 'v1 1.5' },
  dates: ['notBefore', 'expires'],
  make: () => {
    const directory = mkdtempSync(join(tmpdir(), 'ekm-kryoptic-'))
    const [present, absent] = [join(directory, 'token'), join(directory, 'away')]
    const conf = join(directory, 'token.conf')
    mkdirSync(present)
    writeFileSync(conf, `[[slots]]\nslot = 1\ndbtype = "sqlite"\ndbargs = "${join(present, 'token.sql')}"\n`)
    // A variable would give hosts that start later the token of the latest suite.
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
