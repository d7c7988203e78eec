import { copyFileSync, existsSync, rmSync, statSync } from 'node:fs'
import { chmod, rename, writeFile } from 'node:fs/promises'
import { OperatorError, systemCode } from '../../../adapters/contract/index.ts'
import { ConfigInvalid, loadConfig } from '../../config/load.ts'
import type { Variables } from '../../settings/variables.ts'

/** It holds no secret; a gateway refuses what every user can change. */
const MODE = 0o644
const MODE_BITS = 0o777

/**
 * Puts `text` in the place of `file`, once it has been read as the gateway reads it. What was there is kept beside it.
 * @param awaitsCertificate the certificate that it names is yet to come
 */
export async function writeConfig(
  file: string,
  text: string,
  variables: Variables,
  awaitsCertificate: boolean,
): Promise<void> {
  const fresh = `${file}.new`
  const mode = existsSync(file) ? statSync(file).mode & MODE_BITS : MODE
  try {
    await writeFile(fresh, text, { mode })
    await chmod(fresh, mode)
    assertValid(fresh, variables, awaitsCertificate)
    if (existsSync(file)) copyFileSync(file, `${file}.previous`)
    await rename(fresh, file)
  } catch (error) {
    rmSync(fresh, { force: true })
    if (error instanceof OperatorError) throw error
    throw new OperatorError('FILE_UNWRITABLE', `${file} cannot be written (${systemCode(error)})`)
  }
}

function assertValid(file: string, variables: Variables, awaitsCertificate: boolean): void {
  try {
    loadConfig(file, variables)
  } catch (error) {
    if (!(error instanceof ConfigInvalid)) throw error
    const others = error.problems.filter(({ path }) => !awaitsCertificate || path !== 'listen.tls.certificate')
    if (others.length > 0) throw new ConfigInvalid(others)
  }
}
