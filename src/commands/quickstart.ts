import { Command, InvalidArgumentError } from 'commander'
import { withExamples } from './help.ts'

interface QuickstartOptions {
  readonly directory: string
  readonly port: number
  readonly once?: true
}

export const quickstartCommand = () =>
  withExamples(new Command('quickstart'), 'quickstart', 'quickstart --directory trial --port 9443 --once')
    .description('create throwaway certificates and keys, serve them, and show how a data key is wrapped and unwrapped')
    .option('--directory <path>', 'the directory for the files', 'ekm-quickstart')
    .option('--port <number>', 'the port to serve on, on this machine', port, 8443)
    .option('--once', 'exit after the demonstration instead of serving on')
    .action(async (options: QuickstartOptions) => {
      // Only this command loads the X.509 library.
      const { quickstart } = await import('./quickstart/tour.ts')
      await quickstart(options.directory, options.port, options.once === true)
    })

function port(text: string): number {
  const value = Number(text)
  if (/^\d{1,5}$/.test(text) && value <= 65535) return value
  throw new InvalidArgumentError('It must be a port number from 0 to 65535.')
}
