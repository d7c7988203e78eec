import { Command, Option } from 'commander'
import { withExamples } from './help.ts'

const list = (value: string, before: readonly string[]) => [...before, value]

const COULD_NOT_RUN = 2

export const checkCommand = () =>
  withExamples(
    new Command('check'),
    'check --config gateway.yaml --fqdn ekm.example.com --server-ca root.pem',
    'check --config gateway.yaml --as ekm-gateway --only backend --only key.way',
  )
    .description(
      'find out what is wrong with a gateway, before or after it starts, without changing anything (docs/check.md)',
    )
    .requiredOption('--config <file>', 'the configuration file')
    .option('--as <user>', "check everything as the gateway's user; only root can do this")
    .option(
      '--fqdn <host>',
      'the host that Azure calls (--host of az), a name or an IP address, to compare with the server certificate',
    )
    .option('--server-cn <name>', 'the common name of the server certificate that Azure expects, if it expects one')
    .option('--server-ca <file>', 'PEM or DER file of the root CA that Azure trusts (--server-ca-certificate of az)')
    .option(
      '--azure-certificate <file>',
      'fresh output of az keyvault ekm-connection certificate show, as FILE or POOL=FILE; repeat it for each pool',
      list,
      [],
    )
    .option('--only <id>', 'run only this check (key.way) or this group of checks (key); may be repeated', list, [])
    .addOption(new Option('--format <format>', 'the format of the report').choices(['text', 'json']).default('text'))
    .addHelpText(
      'after',
      '\nExit status: 0 no problems (warnings do not count), 1 problems, 2 the checks could not be run.',
    )
    // Commander itself would exit with 1, which means that there are problems.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : COULD_NOT_RUN))
    .action(async (options: object) => {
      const { check } = await import('./check/command.ts')
      const status = await check(options as Parameters<typeof check>[0])
      // A step that did not answer in time may still keep the process alive.
      process.exit(status)
    })
