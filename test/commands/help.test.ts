import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { program } from '../../src/commands/program.ts'
import { run } from './cli.ts'

const all = await program()

/** Each command with its full name, including command groups. */
const commandsOf = (command: Command, name: string): (readonly [name: string, command: Command])[] => [
  [name, command],
  ...command.commands.flatMap((one) => commandsOf(one, `${name} ${one.name()}`)),
]

function helpOf(command: Command): string {
  let help = ''
  command.configureOutput({ writeOut: (text) => (help += text) })
  command.outputHelp()
  return help
}

const examplesIn = (help: string): string[] => {
  const [, block = ''] = /\nExamples?:\n((?: {2}.*\n)+)/.exec(help) ?? []
  return block
    .replaceAll(/ \\\n +/g, ' ')
    .trim()
    .split(/\n +/)
}

describe.each(commandsOf(all, 'ekm-gateway'))('the help of %s', (name, command) => {
  const examples = examplesIn(helpOf(command))

  it('has an example of this command', () => {
    expect(examples.filter((example) => !example.startsWith(command.parent ? name : 'ekm-gateway '))).toEqual([])
  })

  it('has only examples with existing commands and options', () => {
    const wrong = examples.filter((example) => {
      // Words that the shell interprets do not reach the command.
      const [line = ''] = example.split(/ [|<>] /)
      const words = line.split(' ')
      const [, meant] =
        commandsOf(all, 'ekm-gateway').findLast(([full]) => line === full || line.startsWith(`${full} `)) ?? []
      const options = words.filter((word) => word.startsWith('--'))
      const required = meant?.options.filter(({ mandatory }) => mandatory).map(({ long }) => long ?? '') ?? []
      const known = meant?.options.map(({ long }) => long) ?? []
      return (
        meant === undefined ||
        meant.commands.length > 0 ||
        options.some((option) => !known.includes(option)) ||
        required.some((option) => !options.includes(option))
      )
    })
    expect(wrong).toEqual([])
  })
})

describe('a mistyped word on the command line:', () => {
  it.each([
    [['chekc', '--config', 'x'], "unknown command 'chekc'", 'check'],
    [['config', 'explian'], "unknown command 'explian'", 'explain'],
    [['config', 'validate', '--confg', 'x'], "unknown option '--confg'", '--config'],
    [['keys', 'list', '--config', 'x', '--backened=x'], "unknown option '--backened'", '--backend'],
    [['quickstart', '--one'], "unknown option '--one'", '--once'],
  ])('%j', async (args, says, meant) => {
    const { code, stderr } = await run(args)
    expect([code, stderr]).toEqual([1, expect.stringContaining(`error: ${says}\n(Did you mean ${meant}?)\n`)])
  })

  it('reports an unknown option, and not another that is missing', async () => {
    const { code, stderr } = await run(['check', '--colour'])
    expect([code, stderr]).toEqual([2, "error: unknown option '--colour'\n"])
  })

  it('shows the help on request, whatever else is wrong', async () => {
    const { code, stdout } = await run(['serve', '--colour', '--help'])
    expect([code, stdout]).toEqual([0, expect.stringContaining('Usage: ekm-gateway serve')])
  })
})
