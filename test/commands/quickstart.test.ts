import { execFile } from 'node:child_process'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { Cli, CLI, expectRefusal, run } from './cli.ts'
import { takePort } from './serving.ts'

let workspace: Workspace
beforeAll(async () => {
  workspace = await makeWorkspace()
})
afterAll(() => workspace.remove())

const quickstart = (directory: string, ...args: string[]) => ['quickstart', '--directory', directory, ...args]
const keyFiles = (directory: string) =>
  Promise.all(['aes-1.jwe', 'rsa-1.jwe', 'store.json'].map((name) => readFile(join(directory, 'keys', name), 'utf8')))

// An RSA key takes an unpredictable time to make.
describe.concurrent('quickstart', () => {
  it('--once makes everything, shows all four operations and ends; a second run keeps the keys, even with its port in use', async () => {
    const directory = workspace.path('once')
    const program = [process.execPath, CLI, ...quickstart(directory, '--once', '--port', '0')]
    const first = await promisify(execFile)('sh', ['-c', 'umask 0 && exec "$@"', 'sh', ...program])
    expect(first.stderr).toBe('')
    const asked = [...first.stdout.matchAll(/-> POST \/azureekm\/quickstart\/(\S+)\?api-version=0\.1-preview/g)]
    expect(asked.map(([, operation]) => operation)).toEqual([
      'info',
      'aes-1/metadata',
      'aes-1/wrapkey',
      'aes-1/unwrapkey',
      'rsa-1/wrapkey',
      'rsa-1/unwrapkey',
    ])
    expect(first.stdout.match(/<- 200 in [\d.]+ ms/g)).toHaveLength(6)
    expect(first.stdout.match(/The same 32 bytes came back\./g)).toHaveLength(2)
    expect(first.stdout).toContain('1. Made throwaway certificates, keys and a configuration in ')
    expect(first.stdout).not.toContain('curl')
    for (const name of ['server.key', 'client.key', 'passphrase', 'keys/store.json', 'keys/aes-1.jwe']) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600)
    }
    // Only the owner can change the other files, whatever the umask.
    for (const name of ['gateway.yaml', 'server.pem', 'azure-client.json']) {
      expect((await stat(join(directory, name))).mode & 0o777).toBe(0o644)
    }

    const keys = await keyFiles(directory)
    const certificate = await readFile(join(directory, 'server.pem'), 'utf8')
    const second = await run(quickstart(directory, '--once', '--port', '0'))
    expect(second).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(second.stdout).toContain('1. Made throwaway fresh certificates beside the keys of the last time in ')
    expect(await keyFiles(directory)).toEqual(keys)
    expect(await readFile(join(directory, 'server.pem'), 'utf8')).not.toBe(certificate)

    const log = await readFile(join(directory, 'gateway.log'), 'utf8')
    const { port, release } = await takePort()
    const third = await run(quickstart(directory, '--port', String(port)))
    expectRefusal(
      { ...third, stdout: '' },
      new RegExp(`cannot listen on 127\\.0\\.0\\.1 port ${port}: another program`),
    )
    await release()
    expect(await keyFiles(directory)).toEqual(keys)

    for (const [, value] of first.stdout.matchAll(/"value":"([\w-]{43})"/g)) expect(log).not.toContain(value)
  })

  it('serves until Ctrl-C, and the lines that it prints work', async () => {
    const directory = workspace.path("a newcomer's directory")
    await mkdir(directory)
    const cli = new Cli(quickstart(directory, '--port', '0'))
    await cli.says(/Ctrl-C stops it\./, 30_000)
    const [command = ''] = /curl [^\n]*\\\n[^\n]*\\\n[^\n]*\\\n[^\n]*/.exec(cli.stdout) ?? []
    const { stdout } = await promisify(execFile)('sh', ['-c', command.replace('curl', 'curl --silent --show-error')])
    expect(JSON.parse(stdout)).toMatchObject({ api_version: '0.1-preview', ekm_product: 'software key store' })

    const [keys = ''] = /node [^\n]* keys create [^\n]*/.exec(cli.stdout) ?? []
    expect((await promisify(execFile)('sh', ['-c', keys])).stdout).toMatch(/^created my-key {2}RSA 3072/)
    cli.kill('SIGINT')
    const ended = await cli.ended
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(ended.stdout).toMatch(/\nStopped\.\n$/)
  })

  it.each([
    ['some other file', 'notes.txt', 'mine'],
    ['a configuration of another origin', 'gateway.yaml', 'listen: {}\n'],
  ])('touches no directory with %s', async (_what, name, content) => {
    const directory = workspace.path(`foreign-${name}`)
    await mkdir(directory)
    await writeFile(join(directory, name), content)
    const ended = await run(quickstart(directory, '--once', '--port', '0'))
    expectRefusal(
      { ...ended, stdout: '' },
      /^ekm-gateway: .*foreign.* exists, but was not made by quickstart: give another with --directory$/,
    )
    expect(await readFile(join(directory, name), 'utf8')).toBe(content)
    await expect(stat(join(directory, 'server.key'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('explains that its directory is a file', async () => {
    const path = await workspace.write('file', '')
    const ended = await run(quickstart(path, '--once', '--port', '0'))
    expectRefusal({ ...ended, stdout: '' }, /^ekm-gateway: .*file cannot be read \(ENOTDIR\)$/)
  })

  it('refuses an impossible port', async () => {
    const ended = await run(quickstart(workspace.path('never'), '--port', '65536'))
    expectRefusal(ended, /'65536' is invalid\. It must be a port number from 0 to 65535\.$/)
  })
})
