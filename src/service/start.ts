import { availableParallelism } from 'node:os'
import type { Variables } from '../settings/variables.ts'
import { readConfig } from './reload.ts'
import type { Service, Start } from './service.ts'
import type { WorkerGroupOptions } from './workers/group.ts'

/** How to start workers, if the configuration wants several. */
export type WorkerOptions = Pick<WorkerGroupOptions, 'exec' | 'prepareMs' | 'pingMs'>

/**
 * Starts the gateway. What only some gateways need is loaded for those alone: the primary of several workers would
 * otherwise take twice the time to start, and twice the memory.
 *
 * @throws OperatorError, and nothing is left open
 */
export async function startService(file: string, variables: Variables, options: WorkerOptions): Promise<Service> {
  const loaded = readConfig(file, variables)
  const { workers, admin } = loaded.config
  const count = workers === 'auto' ? availableParallelism() : workers
  // Loading holds up the event loop, so it comes before the first request.
  const { withAdmin } = admin === undefined ? {} : await import('./admin/start.ts')
  const service = await startProcesses({ file, variables, loaded }, count, options)
  return admin === undefined || withAdmin === undefined ? service : withAdmin(service, admin)
}

async function startProcesses(start: Start, count: number, options: WorkerOptions): Promise<Service> {
  if (count === 1) {
    const { startAlone } = await import('./alone.ts')
    return startAlone(start)
  }
  const { startWorkers } = await import('./workers/start.ts')
  return startWorkers(start, count, options)
}
