import { Command, InvalidArgumentError, Option } from 'commander'
import { conformance, COULD_NOT_RUN } from './action.ts'
import { formats } from './reporters/index.ts'

const list = (value: string, before: readonly string[]) => [...before, value]

/** The command line of the suite, for its own program or as a command of another program. */
export const conformanceCommand = (name: string) =>
  new Command(name)
    .description('test any EKM proxy from outside, against the EKM Proxy API 0.1-preview')
    .option('--url <url>', 'the URL of the proxy: https://HOST[:PORT][/PREFIX]')
    .option('--ca <file>', "PEM file of the root CA of the proxy's certificate")
    .option('--cert <file>', 'PEM file of a client certificate that the proxy allows')
    .option('--key <file>', "PEM file of the client certificate's private key")
    .option('--aes-key <name>', 'the name of an AES key of the proxy; may be repeated', list, [])
    .option('--rsa-key <name>', 'the name of an RSA key of the proxy; may be repeated', list, [])
    .option('--disabled-key <name>', 'the name of a key that is disabled or expired; may be repeated', list, [])
    .option(
      '--refused <name=cert,key>',
      'a client that the proxy must refuse, as NAME=CERT.PEM,KEY.PEM; may be repeated',
      list,
      [],
    )
    .addOption(
      new Option('--format <format>', 'the format of the report; markdown only with --list')
        .choices([...formats, 'markdown'])
        .default('text'),
    )
    .option('--list', 'print the catalogue of cases and test nothing')
    .option('--only <id>', 'run only this case or this group of cases; may be repeated', list, [])
    .option('--timeout <seconds>', 'the most seconds that a case may take', number, 60)
    .option('--concurrency <number>', 'how many cases run at the same time', number, 4)
    .option('--load <rps>', 'play a Managed HSM, with this many calls per second', number)
    .option('--duration <seconds>', 'how many seconds --load lasts', number, 30)
    .option('--connections <number>', 'how many connections --load uses', number, 8)
    .addHelpText('after', '\nExit status: 0 conformant, 1 not conformant, 2 the suite could not be run.')
    // Commander itself would exit with 1, which means that the proxy is not conformant.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : COULD_NOT_RUN))
    .action(async (options: object, command: Command) => {
      process.exitCode = await conformance(fullNameOf(command), options)
    })

const fullNameOf = (command: Command): string =>
  command.parent ? `${fullNameOf(command.parent)} ${command.name()}` : command.name()

function number(text: string): number {
  const value = Number(text)
  if (/^\d{1,6}$/.test(text) && value > 0) return value
  throw new InvalidArgumentError('It must be a whole number from 1 to 999999.')
}
