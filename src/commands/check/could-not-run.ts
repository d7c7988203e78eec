import { systemCode } from '../../../adapters/contract/index.ts'
import { readBounded } from '../../settings/files.ts'

/** The checks cannot be run, because the options are wrong. `message` is one sentence for a person. */
export class CouldNotRun extends Error {
  override readonly name = 'CouldNotRun'
}

/**
 * The bytes of a file that an option names.
 *
 * @param inWords names it in the message
 */
export function readGiven(path: string, inWords: string): Buffer {
  try {
    return readBounded(path).bytes
  } catch (error) {
    throw new CouldNotRun(`${inWords} cannot be read (${systemCode(error)})`)
  }
}
