import { Command, InvalidArgumentError } from 'commander';
export const quickstartCommand = () => new Command('quickstart')
    .description('make throwaway certificates and keys, serve them, and show a data key wrapped and unwrapped')
    .option('--directory <path>', 'where to put the files', 'ekm-quickstart')
    .option('--port <number>', 'the port on this machine', port, 8443)
    .option('--once', 'end after the demonstration instead of serving on')
    .action(async (options) => {
    // The X.509 library is loaded for this command alone.
    const { quickstart } = await import("./quickstart/tour.js");
    await quickstart(options.directory, options.port, options.once === true);
});
function port(text) {
    const value = Number(text);
    if (/^\d{1,5}$/.test(text) && value <= 65535)
        return value;
    throw new InvalidArgumentError('It must be a port number from 0 to 65535.');
}
