#!/usr/bin/env node
import { Command } from 'commander';
import { runCommand } from "./commands/terminal.js";
import { version } from "./version.js";
/** Each is loaded only when it is asked for: what `serve` needs would double the time of every other command. */
const commands = {
    serve: async () => (await import("./commands/serve.js")).serveCommand(),
    check: async () => (await import("./commands/check.js")).checkCommand(),
    keys: async () => (await import("./commands/keys.js")).keysCommand(),
    config: async () => (await import("./commands/config.js")).configCommand(),
    quickstart: async () => (await import("./commands/quickstart.js")).quickstartCommand(),
    conformance: async () => (await import("./commands/conformance.js")).conformanceCommand(),
};
const isCommand = (word) => word !== undefined && Object.hasOwn(commands, word);
const program = new Command('ekm-gateway')
    .description("An Azure EKM Proxy: wraps and unwraps Azure Managed HSM's data keys with keys that stay outside Azure.")
    .version(version)
    .showHelpAfterError('(ekm-gateway --help shows what there is)');
const asked = process.argv[2];
for (const load of isCommand(asked) ? [commands[asked]] : Object.values(commands))
    program.addCommand(await load());
await runCommand(() => program.parseAsync());
