import { renameSync } from 'node:fs'
import { nss, NSS_LABEL, nssTokens } from '../../pkcs11/support/nss.ts'
import type { DeviceKind } from './device-kind.ts'

/** NSS with a database that can be moved away and back. */
export const nssDatabases: DeviceKind = {
  ...nssTokens,
  make: () => {
    const database = nss(1)
    const away = `${database.directory}-away`
    return {
      module: database.module,
      libraryParameters: database.parameters(),
      label: NSS_LABEL,
      takeAway: () => renameSync(database.directory, away),
      giveBack: () => renameSync(away, database.directory),
      remove: () => database.remove(),
    }
  },
}
