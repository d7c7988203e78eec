import { Command, Option } from 'commander';
const list = (value, before) => [...before, value];
const COULD_NOT_RUN = 2;
export const checkCommand = () => new Command('check')
    .description('find out what is wrong with a gateway, before or after its start; changes nothing; docs/check.md')
    .requiredOption('--config <file>', 'the configuration file')
    .option('--fqdn <name>', 'the host that Azure is told, to compare with the server certificate')
    .option('--server-ca <file>', 'the root CA that Azure is told (--server-ca-certificate), PEM')
    .option('--azure-certificate <file>', 'fresh output of az keyvault ekm-connection certificate show, as FILE or POOL=FILE; may be repeated', list, [])
    .option('--only <id>', 'only this check, or this group of checks (the word before the dot); may be repeated', list, [])
    .addOption(new Option('--format <format>', 'of the report').choices(['text', 'json']).default('text'))
    .addHelpText('after', '\nExit status: 0 no problem (warnings are none), 1 problems, 2 could not be run.')
    // Commander itself would exit with 1, which says that there are problems.
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : COULD_NOT_RUN))
    .action(async (options) => {
    const { check } = await import("./check/command.js");
    const status = await check(options);
    // What did not answer in time may still hold the process open.
    process.exit(status);
});
