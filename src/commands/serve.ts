import cluster from 'node:cluster'
import { setFlagsFromString } from 'node:v8'
import { Command } from 'commander'
import { Variables } from '../settings/variables.ts'
import { startService } from '../service/service.ts'
import { runWorker } from '../service/workers/worker.ts'
import { explainStart, StopSignals } from './terminal.ts'

/**
 * V8 lets its young generation grow by this factor whenever as much has survived in it as it holds. By its own, 2, a
 * steady load makes memory climb in ever rarer steps, over hours; by this one the first step goes all the way to V8's
 * bound (16 MiB for each half on Node.js 20, 64 MiB on 24), from 1 MiB, so that a process has its size at once.
 */
const YOUNG_GENERATION_GROWTH = 64

export const serveCommand = () =>
  new Command('serve')
    .description('serve the EKM Proxy API until SIGTERM or SIGINT; read the configuration again at SIGHUP')
    .requiredOption('--config <file>', 'the configuration file')
    .action(async ({ config }: { config: string }) => {
      setFlagsFromString(`--semi-space-growth-factor=${YOUNG_GENERATION_GROWTH}`)
      if (cluster.isWorker) return runWorker()
      const signals = new StopSignals()
      const told = signals.next()
      const starting = startService(config, new Variables(process.env))
      process.on('SIGHUP', () => {
        // A start that fails is told below.
        void starting.then((service) => service.reload('SIGHUP')).catch(() => undefined)
      })
      const service = await starting.catch((error: unknown) => void (process.exitCode = explainStart(error)))
      if (service === undefined) return
      const signal = await told
      await service.retire()
      // Ctrl-C is a person's, behind whom there is no balancer.
      if (signal === 'SIGTERM') await signals.next(service.config.limits.drainDelayMs)
      await service.drain()
      // Nothing is left to do; a backend's library may still hold the process open.
      process.exit(0)
    })
