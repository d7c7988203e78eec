/** The program of a worker. It loads neither the command line nor what only the primary needs. */
import { closeInspector } from '../../../adapters/contract/no-inspector.ts'
import { runWorker } from '../../service/workers/worker.ts'
import { runCommand } from '../terminal.ts'

await closeInspector()
await runCommand(() => runWorker())
