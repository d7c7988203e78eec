import { OperatorError } from '../../contract/index.ts'
import type { Pkcs11Options } from '../options.ts'
import type { TokenSeen } from '../wire/host-protocol.ts'
import { Host } from './host.ts'
import { hostEnvironment } from './host-channel.ts'
import { checkModule } from './open.ts'
import { remedyFor } from './remedy.ts'
import { Starters } from './starters.ts'

/** C_Initialize of a network HSM may take seconds. */
const SURVEY_MS = 15_000

/** The tokens that a module shows, in a process of their own and without a login. Rejects with an {@link OperatorError}. */
export async function surveyTokens({
  module,
  libraryParameters,
}: Pick<Pkcs11Options, 'module' | 'libraryParameters'>): Promise<readonly TokenSeen[]> {
  await checkModule(module)
  const starters = new Starters()
  const lost = (why: string) => void host.abandon(unusable(module, why))
  const nothing = () => undefined
  const host = new Host(starters, hostEnvironment(undefined), {
    failed: nothing,
    vanished: nothing,
    unfinished: nothing,
    idle: nothing,
    ended: lost,
  })
  const timer = setTimeout(() => lost(`it did not answer within ${SURVEY_MS} ms`), SURVEY_MS)
  try {
    return await host.survey({
      binding: 'pkcs11js',
      module,
      ...(libraryParameters !== undefined && { libraryParameters }),
    })
  } catch (error) {
    if (error instanceof OperatorError) throw error
    throw unusable(module, error instanceof Error ? error.message : 'unknown')
  } finally {
    clearTimeout(timer)
    await host.kill()
    starters.close()
  }
}

const unusable = (module: string, why: string) =>
  new OperatorError('MODULE_UNUSABLE', `the PKCS#11 module ${module} cannot be used: ${why}; ${remedyFor(module)}`)
