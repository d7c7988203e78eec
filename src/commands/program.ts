import { Command } from 'commander'
import { version } from '../base/version.ts'
import { refuseUnknownOptionsFirst, withExamples } from './help.ts'

/**
 * Each command is loaded only when it is used: the modules of `serve` would double the start time of every other
 * command.
 */
const commands = {
  init: async () => (await import('./init.ts')).initCommand(),
  serve: async () => (await import('./serve.ts')).serveCommand(),
  check: async () => (await import('./check.ts')).checkCommand(),
  keys: async () => (await import('./keys.ts')).keysCommand(),
  config: async () => (await import('./config.ts')).configCommand(),
  quickstart: async () => (await import('./quickstart.ts')).quickstartCommand(),
  conformance: async () => (await import('./conformance.ts')).conformanceCommand(),
}
const isCommand = (word: string | undefined): word is keyof typeof commands =>
  word !== undefined && Object.hasOwn(commands, word)

const asksVersion = (word: string | undefined) => word === '--version' || word === '-V'

/** The commands that the command line needs to understand its first word. */
function loadersFor(asked: string | undefined): readonly (() => Promise<Command>)[] {
  if (isCommand(asked)) return [commands[asked]]
  return asksVersion(asked) ? [] : Object.values(commands)
}

/** The command line with only the command `asked`, or with all commands if that is not one. */
export async function program(asked?: string): Promise<Command> {
  const all = new Command('ekm-gateway')
    .description(
      "An Azure EKM Proxy: wraps and unwraps Azure Managed HSM's data keys with keys that stay outside Azure.",
    )
    .version(version)
    .showHelpAfterError('(ekm-gateway --help shows what there is)')
  for (const load of loadersFor(asked)) all.addCommand(await load())
  refuseUnknownOptionsFirst(all)
  return withExamples(
    all,
    'quickstart',
    'init',
    'check --config gateway.yaml',
    'serve --config gateway.yaml',
    'config explain limits.deadlineMs',
  )
}
