import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, rename, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { aesKey, PASSPHRASE, writeGatewayFiles, type Settings } from '../support/gateway.ts'
import { API, CONTEXT, makeAgent, send } from '../support/https.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { leftovers } from '../support/leftovers.ts'
import { childrenOf } from '../bench/process-tree.ts'
import { Cli, CLI, expectRefusal, POINTER, run, until, type StartOptions } from './cli.ts'
import {
  accepts,
  BASE,
  infoRequest,
  openRequest,
  startServing,
  takePort,
  wrapRequest,
  type Serving,
} from './serving.ts'

let pki: Pki
beforeAll(async () => {
  pki = await makePki()
})

const removeLater = leftovers()

async function serving(settings: Settings = {}, options: StartOptions = {}): Promise<Serving> {
  const started = await startServing(pki, [aesKey('aes-1')], settings, options)
  removeLater(started)
  return started
}

const EX_CONFIG = 78
const WITHOUT_FETCH = { NODE_OPTIONS: `--import=${new URL('without-fetch.mjs', import.meta.url).href}` }
const PATIENT = { limits: { deadlineMs: 60_000, drainMs: 60_000 } }
/** Milliseconds. Much less than anything that a request or its connection may wait for in these tests. */
const AT_ONCE_MS = 30_000

describe.concurrent('serve', () => {
  it('at SIGTERM finishes running requests, accepts no new connections, and ends with 0', async () => {
    const { cli, port, logs } = await serving(PATIENT)
    const open = await openRequest(port, pki)
    cli.kill('SIGTERM')
    expect(await logs('draining')).toMatchObject({ requests: 1 })
    await expect(send(port, pki, infoRequest)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(cli.running).toBe(true)

    open.finish()
    const answer = await open.closed
    expect(answer).toContain('HTTP/1.1 200 OK')
    expect(answer).toMatch(/^connection: close/im)
    expect(answer).toContain('"api_version":"0.1-preview"')
    expect(await cli.ended).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(await logs('stopped')).toMatchObject({ requests_cut_off: 0 })
  })

  it.each(['SIGTERM', 'SIGINT'] as const)('with nothing under way, ends at once with 0 at %s', async (signal) => {
    const { cli, port, logs } = await serving(PATIENT)
    const agent = makeAgent(pki)
    expect((await send(port, pki, { ...infoRequest, agent })).status).toBe(200)
    const start = performance.now()
    cli.kill(signal)
    expect(await cli.ended).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(performance.now() - start).toBeLessThan(AT_ONCE_MS)
    expect(await logs('stopped')).toMatchObject({ requests_cut_off: 0 })
    agent.destroy()
  })

  it('leaves its standard output open for other processes', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], { log: { destination: 'stdout' } })
    // Node.js makes standard output a socket here, as systemd does.
    const shell = spawn('sh', ['-c', '"$0" "$1" serve --config "$2"; echo afterwards', process.execPath, CLI, file])
    let output = ''
    shell.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await until('it listens', () => output.includes('"event":"listening"'))
    for (const pid of childrenOf(shell.pid ?? 0)) process.kill(pid, 'SIGTERM')
    await once(shell, 'close')
    expect(output).toMatch(/"event":"stopped".*\nafterwards\n$/)
    await workspace.remove()
  })

  it('waits for running requests no longer than the configured time', async () => {
    const { cli, port, logs } = await serving({ limits: { deadlineMs: 60_000, drainMs: 300 } })
    const open = await openRequest(port, pki)
    const start = performance.now()
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, signal: null, stderr: '' })
    const took = performance.now() - start
    expect(took).toBeGreaterThan(250)
    expect(took).toBeLessThan(AT_ONCE_MS)
    expect(await logs('stopped')).toMatchObject({ requests_cut_off: 1 })
    open.destroy()
  })

  it.each([
    ['SIGTERM', 'SIGTERM', 143],
    ['SIGINT', 'SIGINT', 130],
    ['SIGTERM', 'SIGINT', 130],
  ] as const)('at %s, then %s ends at once with %i', async (first, second, code) => {
    const { cli, port, logs } = await serving(PATIENT)
    const open = await openRequest(port, pki)
    cli.kill(first)
    await logs('draining')
    const start = performance.now()
    cli.kill(second)
    expect(await cli.ended).toMatchObject({ code, signal: null, stderr: '' })
    expect(performance.now() - start).toBeLessThan(AT_ONCE_MS)
    open.destroy()
  })

  it.each([1, 2])('does without fetch, which would be loaded into each process, in %i', async (workers) => {
    const { port } = await serving({ workers, limits: { deadlineMs: 20_000 } }, { environment: WITHOUT_FETCH })
    expect((await send(port, pki, wrapRequest)).status).toBe(200)
  })

  it('sees by itself that a key was added, disabled and enabled', async () => {
    const { port, file, logs, cli } = await serving()
    const keys = async (...args: string[]) => {
      expect(await run(['keys', ...args, '--config', file])).toMatchObject({ code: 0, stderr: '' })
    }
    const agent = makeAgent(pki)
    const statusOf = async (key: string) => {
      const body = { request_context: CONTEXT, alg: 'A256KW', value: 'AAAAAAAAAAAAAAAAAAAAAA' }
      const reply = await send(port, pki, { path: `${BASE}/${key}/wrapkey?${API}`, body, agent })
      return `${reply.status} ${String(reply.json['code'])}`
    }
    const becomes = (key: string, status: string) =>
      until(`${key} ${status}`, async () => (await statusOf(key)) === status)
    expect(await statusOf('aes-1')).toBe('200 undefined')
    expect(await statusOf('new')).toBe('404 KeyNotFound')
    await keys('create', 'new', '--type', 'oct')
    await becomes('new', '200 undefined')
    await keys('disable', 'aes-1')
    await becomes('aes-1', '403 KeyDisabled')
    expect(await statusOf('new')).toBe('200 undefined')
    await keys('enable', 'aes-1')
    await becomes('aes-1', '200 undefined')
    expect(await logs('key_loaded')).toMatchObject({ level: 'info', backend: 'store', key: 'new' })
    agent.destroy()
    cli.kill()
  })

  it('asks for no client certificate if it is disabled, and logs that at its start', async () => {
    const { port, logs } = await serving({ listen: { clientAuth: 'disabled' } })
    expect(await logs('listening')).toMatchObject({ client_auth: 'disabled' })
    expect(await logs('client_auth_disabled')).toMatchObject({
      message: expect.stringMatching(/development only/) as string,
    })
    expect((await send(port, pki, infoRequest, null)).status).toBe(200)
  })

  it('logs that it asks for no client certificate even if the log is quiet', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [], {
      listen: { clientAuth: 'disabled' },
      log: { level: 'error', destination: 'stdout' },
    })
    const cli = new Cli(['serve', '--config', file])
    await cli.says(/"event":"client_auth_disabled"/)
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    await workspace.remove()
  })

  it('does not serve HTTP without TLS', async () => {
    const { port, logs } = await serving()
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      const socket = connect(port, '127.0.0.1', () =>
        socket.write(`GET ${BASE}/info HTTP/1.1\r\nHost: localhost\r\n\r\n`),
      )
      socket.on('data', (chunk) => (text += chunk.toString('latin1')))
      socket.on('error', () => undefined)
      socket.on('close', () => resolve(text))
    })
    expect(answer).not.toContain('HTTP/1.1')
    expect(await logs('tls_handshake_failed')).toMatchObject({ reason: 'ERR_SSL_HTTP_REQUEST' })
  })
})

describe.concurrent('serve does not start', () => {
  type Prepare = (at: (name: string) => string) => Promise<unknown>
  const rows: readonly (readonly [what: string, prepare: Prepare, says: RegExp])[] = [
    ['without its configuration', (at) => rename(at('gateway.yaml'), at('other.yaml')), /^ekm-gateway: .*gateway\.yaml: cannot be read \(ENOENT\)$/],
    ['without its certificate', (at) => rename(at('server.pem'), at('other.pem')), /gateway\.yaml:5: listen\.tls\.certificate names a file that cannot be read \(ENOENT\): .*server\.pem$/],
    ['with a certificate that is damaged', (at) => writeFile(at('server.pem'), '-----BEGIN'), /gateway\.yaml:4: listen\.tls does not hold a usable certificate and key: the certificate is neither PEM nor DER, or is damaged/],
    ['without its passphrase', (at) => writeFile(at('passphrase'), ''), /backends\.store\.passphrase names an empty file$/],
    ['with a wrong passphrase', (at) => writeFile(at('passphrase'), 'wrong'), /^ekm-gateway: the passphrase does not decrypt .*store\.json$/],
    ['with a key that is cut short', (at) => writeFile(at('keys/aes-1.jwe'), 'eyJ'), /aes-1\.jwe is not a key of this store: it is damaged/],
    ['with a key that others can read', (at) => chmod(at('keys/aes-1.jwe'), 0o644), /aes-1\.jwe is accessible to other users \(mode 0644\): run chmod 600/],
    ['without its store', (at) => rename(at('keys'), at('gone')), /there is no key store at .*keys/],
    ['where its log cannot be written', (at) => writeFile(at('logs'), ''), /^ekm-gateway: the log cannot be written to .*logs\/gateway\.log \(ENOTDIR\)$/],
  ] /* prettier-ignore */ // one case a line

  it.each(rows)('%s', async (what, prepare, says) => {
    const log = what.includes('its log') ? { destination: 'logs/gateway.log' } : {}
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], { log })
    removeLater(workspace)
    await prepare((name) => workspace.path(name))
    const ended = await run(['serve', '--config', file])
    // The log's disk may recover.
    expectRefusal(ended, says, what.includes('its log') ? 1 : EX_CONFIG)
    expect(ended.stderr).not.toContain(PASSPHRASE)
  })

  it('where another program has its port', async () => {
    const { port, release } = await takePort()
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], { listen: { port } })
    removeLater(workspace)
    const says = new RegExp(
      `^ekm-gateway: cannot listen on 127\\.0\\.0\\.1 port ${port}: another program uses this port$`,
    )
    expectRefusal(await run(['serve', '--config', file]), says)
    await release()
  })

  it('on an address of another machine', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], { listen: { host: '192.0.2.1' } })
    removeLater(workspace)
    expectRefusal(await run(['serve', '--config', file]), /cannot listen on 192\.0\.2\.1 port 0: this machine does not/)
  })

  it('with half of a configuration, and never listens meanwhile', async () => {
    const { port, release } = await takePort()
    await release()
    const pool = {
      backend: 'store',
      keys: 'all',
      clients: [{ subjectCommonNames: ['a'], caCertificates: ['client-ca.pem'] }],
    }
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], {
      listen: { port },
      pools: [
        { ...pool, name: 'good' },
        { ...pool, name: 'bad', pathPrefix: 'b', backend: 'hsm' },
      ],
    })
    removeLater(workspace)
    const cli = new Cli(['serve', '--config', file])
    while (cli.running) expect(await accepts(port)).toBe(false)
    expectRefusal(
      await cli.ended,
      /^ekm-gateway: .*gateway\.yaml:\d+: pools\[1\]\.backend names no backend; there is: store$/,
      EX_CONFIG,
    )
  })

  it('with several faults, and tells all of them in one answer, a line each', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [], {
      listen: { port: 'x' },
      limits: { drainMs: -1, fast: 1 },
    })
    removeLater(workspace)
    const { code, stderr } = await run(['serve', '--config', file], {
      environment: { EKM_GATEWAY__LOG__LEVEL: 'loud' },
    })
    expect(code).toBe(EX_CONFIG)
    expect(stderr.trim()).toMatch(POINTER)
    expect(
      stderr
        .trim()
        .replace(POINTER, '')
        .split('\n')
        .map((line) =>
          line
            .replace(/^ekm-gateway: /, '')
            .replace(file, 'FILE')
            .split(' ')
            .slice(0, 2)
            .join(' '),
        ),
    ).toEqual([
      'EKM_GATEWAY__LOG__LEVEL: log.level',
      'FILE:3: listen.port',
      'FILE:10: limits.drainMs',
      'FILE:11: limits.fast',
    ])
  })
})
