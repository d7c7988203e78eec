import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { prepareWorkspace } from '../../src/commands/quickstart/workspace.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { Cli, expectRefusal, run } from './cli.ts'
import type { JsonSchema } from '../../src/commands/explain/json-schema.ts'
import { validate } from './json-schema.ts'

let workspace: Workspace
let directory: string
beforeAll(async () => {
  workspace = await makeWorkspace()
  directory = join(workspace.directory, 'quickstart')
  await prepareWorkspace(directory, 8443)
})
afterAll(() => workspace.remove())

describe('config validate', () => {
  it('says that a configuration is valid', async () => {
    const file = join(directory, 'gateway.yaml')
    expect(await run(['config', 'validate', '--config', file])).toEqual({
      code: 0,
      signal: null,
      stdout: `${file} is valid (pools: 1, backends: 1)\n`,
      stderr: '',
    })
  })

  it('reports every fault, and quotes no value', async () => {
    const yaml = await readFile(join(directory, 'gateway.yaml'), 'utf8')
    const passphrase = (await readFile(join(directory, 'passphrase'), 'utf8')).trim()
    const broken = yaml
      .replace('passphrase: { file: passphrase }', `passphrase: ${passphrase}`)
      .replace('port:', 'prot:')
    const file = await workspace.write('quickstart/broken.yaml', broken)
    const lineOf = (text: string) => broken.split('\n').findIndex((line) => line.includes(text)) + 1
    const { code, stdout, stderr } = await run(['config', 'validate', '--config', file])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr.trim().split('\n')).toEqual([
      `ekm-gateway: ${file}:${lineOf('prot:')}: listen.prot is not a known setting; allowed here: host, port, tls, clientAuth, proxyProtocol, ticketKeys; did you mean port?`,
      `${file}:${lineOf('passphrase:')}: backends.store.passphrase must be either { env: NAME } or { file: PATH }; do not write a secret into this file`,
      'see docs/errors.md#config_invalid',
    ])
    expect(stderr).not.toContain(passphrase)
  })

  it('reads the environment as serve does', async () => {
    const args = ['config', 'validate', '--config', join(directory, 'gateway.yaml')]
    const { code, stderr } = await run(args, { environment: { EKM_GATEWAY__POOLS__0__BACKEND: 'hsm' } })
    expect([code, stderr]).toEqual([
      1,
      'ekm-gateway: EKM_GATEWAY__POOLS__0__BACKEND: pools[0].backend names no backend; there is: store\nsee docs/errors.md#config_invalid\n',
    ])
  })
})

describe('config schema', () => {
  let schema: JsonSchema
  beforeAll(async () => {
    const { code, stdout, stderr } = await run(['config', 'schema'])
    expect([code, stderr]).toEqual([0, ''])
    schema = JSON.parse(stdout) as JsonSchema
  })

  it('ends quietly when its reader closes the pipe', async () => {
    const cli = new Cli(['config', 'schema'], { unread: true })
    cli.process.stdout?.destroy()
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
  })

  it('reports a full device', async () => {
    const full = openSync('/dev/full', 'w')
    const ended = await run(['config', 'schema'], { stdio: ['ignore', full, 'pipe'] })
    closeSync(full)
    expectRefusal(ended, /^ekm-gateway: standard output cannot be written to \(ENOSPC\)$/)
  })

  it('prints a JSON Schema of draft 2020-12 that allows no unknown setting', () => {
    expect(schema).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      required: ['listen', 'backends', 'pools'],
      additionalProperties: false,
    })
  })

  it('describes every setting in a sentence', () => {
    const undescribed = (at: JsonSchema, path: string): string[] =>
      Object.entries(at.properties ?? {}).flatMap(([name, setting]) => [
        ...(/^.{8,}\.$/.test(setting.description ?? '') ? [] : [`${path}.${name}`]),
        ...undescribed(setting, `${path}.${name}`),
      ])
    const everywhere = (at: JsonSchema): JsonSchema[] => {
      const below = [
        at.items,
        at.additionalProperties,
        ...(at.anyOf ?? []),
        ...(at.oneOf ?? []),
        ...Object.values(at.properties ?? {}),
      ]
      return [at, ...below.filter((part) => typeof part === 'object').flatMap(everywhere)]
    }
    expect(everywhere(schema).flatMap((part) => undescribed(part, ''))).toEqual([])
  })

  it('states units, bounds and defaults', () => {
    expect(schema.properties?.['limits']?.properties?.['deadlineMs']).toEqual({
      type: 'integer',
      minimum: 1,
      maximum: 60_000,
      default: 200,
      description: expect.stringMatching(/^Milliseconds /) as string,
    })
  })

  const changes: readonly (readonly [what: string, change: (yaml: string) => string, path: string])[] = [
    ['an unknown setting', (yaml) => yaml.replace('  host:', '  hots:'), 'listen.hots'],
    ['a wrong type', (yaml) => yaml.replace('port: 8443', 'port: "8443"'), 'listen.port'],
    ['a number out of range', (yaml) => yaml.replace('port: 8443', 'port: 70000'), 'listen.port'],
    ['a missing setting', (yaml) => yaml.replace('    backend: store\n', ''), 'pools.0.backend'],
    ['a word that is no choice', (yaml) => yaml.replace('level: info', 'level: loud'), 'log.level'],
    ['a bad prefix', (yaml) => yaml.replace('azureekm/quickstart', 'azureekm//quickstart'), 'pools.0.pathPrefix'],
    ['a literal secret', (yaml) => yaml.replace('{ file: passphrase }', 'x'), 'backends.store'],
    ['an unknown kind', (yaml) => yaml.replace('kind: software', 'kind: floppy'), 'backends.store'],
    ['a key that is text', (yaml) => yaml.replace('aes-1: {}', 'aes-1: x'), 'pools.0.keys'],
  ]

  it('accepts the quickstart’s configuration', async () => {
    const yaml: unknown = parse(await readFile(join(directory, 'gateway.yaml'), 'utf8'))
    expect(validate(schema, yaml)).toEqual([])
  })

  it.each(changes)('rejects %s', async (_what, change, path) => {
    const yaml = await readFile(join(directory, 'gateway.yaml'), 'utf8')
    expect(change(yaml)).not.toBe(yaml)
    expect(validate(schema, parse(change(yaml)))).toContain(path)
  })
})
