import { fileURLToPath } from 'node:url'
import { Variables } from '../../settings/variables.ts'
import { ServiceManager } from '../../service/service-manager.ts'
import { startService } from '../../service/start.ts'
import { explainStart, StopSignals } from '../terminal.ts'

// No tool rewrites a program's name inside a string, so the extension follows that of this file. The folder is named because
// the build puts this file into another one, beside the program's.
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const exec = fileURLToPath(new URL(`../serve/worker.${extension}`, import.meta.url))

/** Serves until SIGTERM or SIGINT, and then ends this process. A start that fails sets the exit status. */
export async function serve(file: string): Promise<void> {
  const signals = new StopSignals()
  const told = signals.next()
  const serviceManager = new ServiceManager(process.env)
  const starting = startService(file, new Variables(process.env), { exec })
  process.on('SIGHUP', () => {
    // A start that fails is reported below.
    void starting.then((service) => serviceManager.reload(service)).catch(() => undefined)
  })
  const service = await starting.catch((error: unknown) => void (process.exitCode = explainStart(error)))
  if (service === undefined) return
  serviceManager.ready(service)
  const signal = await told
  const systemdKnows = serviceManager.stopping()
  await service.retire()
  // SIGINT comes from a person at a terminal, without a load balancer.
  if (signal === 'SIGTERM') await signals.next(service.config.limits.drainDelayMs)
  await service.drain()
  await systemdKnows
  // Everything is done, but a backend's library may still keep the process alive.
  process.exit(0)
}
