import { execFileSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { pythonWith } from '../support/python.ts'

const VERSION = '2.91.0'
const root = fileURLToPath(new URL('../..', import.meta.url))
const environment = process.env['EKM_AZURE_CLI'] ?? join(root, 'node_modules/.cache/azure-cli')

/** `az` must ask nobody else: a wrong command would look for an extension, and an error would ask for advice. */
const ALONE = {
  PATH: process.env['PATH'],
  HOME: process.env['HOME'],
  AZURE_CORE_COLLECT_TELEMETRY: 'no',
  AZURE_CORE_ERROR_RECOMMENDATION: 'off',
  AZURE_EXTENSION_USE_DYNAMIC_INSTALL: 'no',
}

interface Line {
  readonly where: string
  readonly text: string
}

/** An `az` command. In a document it ends with the line or the code span; in a program it ends with the string. */
const COMMAND = /(?<![\w/-])az (?:keyvault|rest)\b[^`\n]*/g
const STRING_END = /(?<!\\)['`]|\$\{/

async function linesOf(path: string): Promise<Line[]> {
  const text = (await readFile(join(root, path), 'utf8')).replace(/\\\n\s*/g, '')
  return text.split('\n').flatMap((line, index) => {
    // `${…}` stands for a word, as words in capitals do.
    const whole = path.endsWith('.ts') ? line.replace(/\$\{[^}]*\}/g, 'WORD') : line
    const cut = (command: string) => (path.endsWith('.ts') ? (command.split(STRING_END)[0] ?? command) : command)
    return [...whole.matchAll(COMMAND)].map(([command]) => ({
      where: `${path}:${index + 1}`,
      text: withoutProse(cut(command)),
    }))
  })
}

/** A command with options is complete. One without options is only named in a sentence, in small letters. */
const withoutProse = (command: string): string => {
  if (command.includes(' --')) return command.trim().replace(/[.,;:)]+$/, '')
  return (
    /^az(?: keyvault)?(?: (?:ekm-connection|certificate|key|role|assignment|show|create|check|update|delete|purge|encrypt|rest))*/.exec(
      command,
    )?.[0] ?? command
  )
}

async function files(): Promise<string[]> {
  const under = async (directory: string, ends: readonly string[]) =>
    (await readdir(join(root, directory), { recursive: true }))
      .filter((file) => ends.some((end) => file.endsWith(end)))
      .map((file) => join(directory, file))
  return [
    'README.md',
    ...(await under('docs', ['.md'])),
    ...(await under('src', ['.ts'])),
    ...(await under('deploy', ['.md', '.yaml', '.sh', '.txt'])),
  ]
}

let programs: string

describe('the az commands of documents and messages', () => {
  let lines: Line[]
  beforeAll(async () => {
    programs = pythonWith(`azure-cli==${VERSION}`, environment)
    lines = (await Promise.all((await files()).map(linesOf))).flat()
  })

  it('are found', () => {
    expect(lines.filter(({ where }) => where.startsWith('docs/azure.md')).length).toBeGreaterThan(10)
    expect(lines.filter(({ where }) => where.startsWith('src/commands/')).length).toBeGreaterThan(5)
  })

  it('are accepted by the parser of the real az', () => {
    expect(refused(lines)).toEqual([])
  }, 600_000)

  it('would be refused with a wrong command, a wrong option or a missing one', () => {
    const wrong = [
      'az keyvault ekm-connection list --hsm-name HSM',
      'az keyvault ekm-connection check --hsm HSM --fqdn HOST',
      'az keyvault ekm-connection create --hsm-name HSM --host HOST',
    ].map((text) => ({ where: 'here', text }))
    expect(refused(wrong)).toHaveLength(wrong.length)
  }, 600_000)
})

function refused(lines: readonly Line[]): string[] {
  const different = [...new Map(lines.map((line) => [line.text, line])).values()]
  const input = different.map(({ text }) => text).join('\n')
  const script = fileURLToPath(new URL('parse.py', import.meta.url))
  const verdicts = JSON.parse(
    execFileSync(join(programs, 'python3'), [script], { input, encoding: 'utf8', env: ALONE }),
  ) as (string | null)[]
  expect(verdicts).toHaveLength(different.length)
  return different.flatMap(({ where, text }, index) => {
    const verdict = verdicts[index]
    return typeof verdict === 'string' ? [`${where}: ${text}: ${verdict}`] : []
  })
}
