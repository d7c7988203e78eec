import { Command } from 'commander'
import { withExamples } from './help.ts'

export const serveCommand = () =>
  withExamples(new Command('serve'), 'serve --config /etc/ekm-gateway/gateway.yaml')
    .description('serve the EKM Proxy API until SIGTERM or SIGINT; SIGHUP reloads the configuration')
    .requiredOption('--config <file>', 'the configuration file')
    .action(async ({ config }: { config: string }) => {
      const { serve } = await import('./serve/run.ts')
      await serve(config)
    })
