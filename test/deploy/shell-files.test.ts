import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { commandTree, withAllBelow, type CommandNode } from '../../deploy/release/command-tree.ts'
import { program } from '../../src/commands/program.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { artefact, output } from './support.ts'

let workspace: Workspace
let share: string
let commands: CommandNode[]
beforeAll(async () => {
  workspace = await makeWorkspace()
  output('tar', ['-xzf', artefact('.tar.gz'), '-C', workspace.directory, '--strip-components=1'])
  share = workspace.path('share')
  commands = withAllBelow(commandTree(await program()))
})
afterAll(() => workspace.remove())

const PATH = { PATH: process.env['PATH'] ?? '' }
const completions = {
  bash: (line: string) => {
    const words = line.split(' ')
    const script = `. "${join(share, 'bash-completion/completions/ekm-gateway')}"; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _ekm_gateway; printf '%s\\n' "\${COMPREPLY[@]}"`
    return output('bash', ['--norc', '-c', script], { env: PATH })
  },
  fish: (line: string) =>
    output(
      'fish',
      [
        '--no-config',
        '-c',
        `source ${join(share, 'fish/vendor_completions.d/ekm-gateway.fish')}; complete -C '${line}'`,
      ],
      {
        env: { ...PATH, HOME: workspace.directory },
      },
    ).replaceAll(/\t.*/g, ''),
}
const complete = (shell: keyof typeof completions, line: string) =>
  completions[shell](line)
    .split('\n')
    .filter((word) => word !== '')

describe.each(['bash', 'fish'] as const)('%s', (shell) => {
  it('completes every command and option', () => {
    for (const { path, commands: below, options } of commands) {
      expect(complete(shell, `${path} `)).toEqual(expect.arrayContaining(below.map(({ name }) => name)))
      const long = options.flatMap(({ names }) => names.filter((name) => name.startsWith('--')))
      expect(complete(shell, `${path} --`)).toEqual(expect.arrayContaining(long))
    }
  })

  it('completes the values of an option', () => {
    expect(complete(shell, 'ekm-gateway keys create --type ')).toEqual(['oct', 'RSA'])
  })
})

it('zsh accepts its completion, which has every command and option', () => {
  const file = join(share, 'zsh/vendor-completions/_ekm-gateway')
  output('zsh', ['-n', file])
  const text = readFileSync(file, 'utf8')
  for (const { path, options } of commands) {
    const [, items = ''] = new RegExp(`'${path}'\\) items=\\((.*)\\)`).exec(text) ?? []
    for (const name of options.flatMap(({ names }) => names)) expect(items).toContain(`'${name}:`)
  }
})

it('the manual page has every command and option, and mandoc gives no warning', () => {
  const page = join(share, 'man/man1/ekm-gateway.1')
  expect(output('mandoc', ['-T', 'lint', '-W', 'warning', page])).toBe('')
  const text = output('mandoc', ['-T', 'utf8', page]).replaceAll(/.\x08/g, '')
  for (const { path, commands: below, options } of commands) {
    if (below.length === 0) expect(text).toContain(path)
    for (const name of options.flatMap(({ names }) => names)) expect(text).toContain(name)
  }
})
