import cluster from 'node:cluster';
import { Command } from 'commander';
import { startService } from "../service.js";
import { runWorker } from "../workers/worker.js";
import { untilTold } from "./terminal.js";
export const serveCommand = () => new Command('serve')
    .description('serve the EKM Proxy API until SIGTERM or SIGINT; read the configuration again at SIGHUP')
    .requiredOption('--config <file>', 'the configuration file')
    .action(async ({ config }) => {
    if (cluster.isWorker)
        return runWorker();
    const told = untilTold();
    const starting = startService(config, process.env);
    process.on('SIGHUP', () => {
        // A start that fails is told below.
        void starting.then((service) => service.reload('SIGHUP')).catch(() => undefined);
    });
    const service = await starting;
    await told;
    await service.drain();
    // Nothing is left to do; a backend's library may still hold the process open.
    process.exit(0);
});
