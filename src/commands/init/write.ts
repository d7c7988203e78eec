import { existsSync, rmSync, statSync } from 'node:fs'
import { chmod, rename } from 'node:fs/promises'
import { OperatorError, systemCode } from '../../../adapters/contract/index.ts'
import { ConfigInvalid, loadConfig } from '../../config/load.ts'
import { readBounded } from '../../settings/files.ts'
import type { Variables } from '../../settings/variables.ts'
import { freshOf, makeFile, previousOf } from './place.ts'

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
  const fresh = freshOf(file)
  const mode = existsSync(file) ? statSync(file).mode & MODE_BITS : MODE
  try {
    await makeFile(fresh, text, mode)
    await chmod(fresh, mode)
    assertValid(fresh, variables, awaitsCertificate)
    if (existsSync(file)) await keep(file, mode)
    await rename(fresh, file)
  } catch (error) {
    rmSync(fresh, { force: true })
    if (error instanceof OperatorError) throw error
    throw new OperatorError('FILE_UNWRITABLE', `${file} cannot be written (${systemCode(error)})`)
  }
}

/** Copies `file` to where it is kept. Whatever was kept before goes. */
async function keep(file: string, mode: number): Promise<void> {
  await makeFile(previousOf(file), readBounded(file).bytes, mode)
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
