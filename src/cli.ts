#!/usr/bin/env node
import { closeInspector } from '../adapters/contract/no-inspector.ts'
import { Command } from 'commander'
import { runCommand } from './commands/terminal.ts'
import { version } from './base/version.ts'

/** Each is loaded only when it is asked for: what `serve` needs would double the time of every other command. */
const commands = {
  serve: async () => (await import('./commands/serve.ts')).serveCommand(),
  check: async () => (await import('./commands/check.ts')).checkCommand(),
  keys: async () => (await import('./commands/keys.ts')).keysCommand(),
  config: async () => (await import('./commands/config.ts')).configCommand(),
  quickstart: async () => (await import('./commands/quickstart.ts')).quickstartCommand(),
  conformance: async () => (await import('./commands/conformance.ts')).conformanceCommand(),
}
const isCommand = (word: string | undefined): word is keyof typeof commands =>
  word !== undefined && Object.hasOwn(commands, word)

const program = new Command('ekm-gateway')
  .description("An Azure EKM Proxy: wraps and unwraps Azure Managed HSM's data keys with keys that stay outside Azure.")
  .version(version)
  .showHelpAfterError('(ekm-gateway --help shows what there is)')

const asked = process.argv[2]
for (const load of isCommand(asked) ? [commands[asked]] : Object.values(commands)) program.addCommand(await load())

// No command has read a secret yet.
await closeInspector()
await runCommand(() => program.parseAsync())
