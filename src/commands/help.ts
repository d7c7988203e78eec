import type { Command } from 'commander'
import { nearest } from '../base/nearest.ts'

/** Shows command lines, without the program's name, below a command's help. */
export const withExamples = (command: Command, ...lines: readonly [string, ...string[]]): Command =>
  command.addHelpText(
    'after',
    `\n${lines.length === 1 ? 'Example' : 'Examples'}:\n${lines.map((line) => `  ekm-gateway ${line}`).join('\n')}`,
  )

/**
 * Makes every command below `all` refuse an unknown option first. Commander itself would say of `--confg FILE` that
 * `--config` is missing, and of two wrong options nothing about the nearest.
 */
export function refuseUnknownOptionsFirst(all: Command): void {
  for (const command of all.commands) {
    if (command.commands.length > 0) refuseUnknownOptionsFirst(command)
    else guard(command)
  }
}

function guard(command: Command): void {
  const parse = command.parseOptions.bind(command)
  command.parseOptions = (args) => {
    const parsed = parse(args)
    const [first] = parsed.unknown
    if (first === undefined || parsed.unknown.some(isHelp)) return parsed
    const known = [...command.options.flatMap(({ long }) => long ?? []), '--help']
    const [given = first] = first.split('=')
    const meant = nearest(given, known)
    const suggestion = meant === undefined ? '' : `\n(Did you mean ${meant}?)`
    return command.error(`error: unknown option '${given}'${suggestion}`, { code: 'commander.unknownOption' })
  }
}

const isHelp = (arg: string): boolean => arg === '--help' || arg === '-h'
