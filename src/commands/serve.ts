import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { startGateway } from '../gateway.ts'
import { untilTold } from './terminal.ts'

export const serveCommand = () =>
  new Command('serve')
    .description('serve the EKM Proxy API until SIGTERM or SIGINT')
    .requiredOption('--config <file>', 'the configuration file')
    .action(async ({ config }: { config: string }) => {
      const told = untilTold()
      const gateway = await startGateway(loadConfig(config, process.env))
      await told
      await gateway.drain()
      // Nothing is left to do; a backend's library may still hold the process open.
      process.exit(0)
    })
