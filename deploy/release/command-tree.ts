import type { Command, Option } from 'commander'

/** A command as a shell and a manual see it. */
export interface CommandNode {
  /** The command's words from `ekm-gateway` on, separated by spaces. */
  readonly path: string
  readonly name: string
  readonly description: string
  readonly usage: string
  readonly arguments: readonly string[]
  readonly options: readonly OptionNode[]
  readonly commands: readonly CommandNode[]
}

export interface OptionNode {
  /** The long form such as `--config`, after the short one if there is one. */
  readonly names: readonly string[]
  /** The value as in the help, such as `<file>`; absent for a switch. */
  readonly value: string | undefined
  readonly description: string
  readonly choices: readonly string[]
  readonly takesPath: boolean
}

export function commandTree(command: Command, before: readonly string[] = []): CommandNode {
  const path = [...before, command.name()]
  const help = command.createHelp()
  return {
    path: path.join(' '),
    name: command.name(),
    description: command.description(),
    usage: help.commandUsage(command),
    arguments: command.registeredArguments.map((argument) => argument.name()),
    options: help.visibleOptions(command).map(optionNode),
    commands: command.commands.map((sub) => commandTree(sub, path)),
  }
}

const optionNode = ({ short, long, flags, description, argChoices }: Option): OptionNode => {
  const value = /[<[].+[>\]]$/.exec(flags)?.[0]
  return {
    names: [short, long].filter((name) => name !== undefined),
    value,
    description,
    choices: argChoices ?? [],
    takesPath: value !== undefined && /file|path|dir/i.test(value),
  }
}

/** A command and all its subcommands, parents first. */
export const withAllBelow = (node: CommandNode): CommandNode[] => [node, ...node.commands.flatMap(withAllBelow)]
