import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childrenOf } from '../bench/process-tree.ts'
import { Cli, expectRefusal, run, until, type Ended } from '../commands/cli.ts'
import { BASE, listeningPort } from '../commands/serving.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { contosoPool, recordsIn, writeGatewayFiles } from '../support/gateway.ts'
import { API, CONTEXT, send } from '../support/https.ts'
import { freePort } from '../kmip/pykmip.ts'
import { metric } from '../support/metrics.ts'
import { makePki, type Pki } from '../support/pki.ts'
import type { Workspace } from '../support/workspace.ts'
import { buildWithFourthKind, type Product } from './product.ts'
import { TransitServer } from './transit-server.ts'

let product: Product
let workspace: Workspace
let config: string
let pki: Pki
const server = new TransitServer()
beforeAll(async () => {
  product = await buildWithFourthKind()
  await server.start()
  server.add('rsa-1', await rsaKey(2048))
  server.add('aes-1')
  pki = await makePki()
  const pool = contosoPool('azureekm/contoso', { 'rsa-1': {} })
  const files = { token: `${server.token}\n`, 'wrong-token': 'hvs.another\n' }
  ;({ workspace, file: config } = await writeGatewayFiles(pki, [], {
    workers: 2,
    limits: { deadlineMs: 20_000 },
    admin: { port: 0 },
    log: { destination: 'stdout' },
    backend: { kind: 'transit', address: server.address, token: { file: 'token' } },
    pools: [pool],
    files,
  }))
})
afterAll(async () => {
  await server.stop()
  await workspace.remove()
  await product.remove()
})

/** The product with the fourth kind, whose token no output may show. */
async function ask(args: readonly string[], environment = {}): Promise<Ended> {
  const ended = await run([...args, '--config', config], { program: product.program, environment })
  expect(ended.stdout + ended.stderr).not.toContain(server.token)
  return ended
}

const done = (stdout: string): Ended => ({ code: 0, signal: null, stdout: `${stdout}\n`, stderr: '' })
/** An override of one of the backend's settings. */
const setting = (name: string, value: string) => ({ [`EKM_GATEWAY__BACKENDS__STORE__${name}`]: value })

describe('a fourth kind of backend, in `config validate`,', () => {
  it('is valid', async () => {
    expect(await ask(['config', 'validate'])).toEqual(done(`${config} is valid (pools: 1, backends: 1)`))
  })

  it('has its settings checked by its own rules', async () => {
    expectRefusal(
      await ask(['config', 'validate'], setting('ADDRESS', 'localhost')),
      /backends\.store\.address must be http:\/\/, a host and a port$/,
    )
  })

  it('is listed with the other kinds', async () => {
    expectRefusal(
      await ask(['config', 'validate'], setting('KIND', 'vault')),
      /backends\.store\.kind must be a mapping whose kind is one of: transit, software, pkcs11, kmip$/,
    )
  })
})

describe('a fourth kind of backend, in `check`,', () => {
  interface Finding {
    readonly id: string
    readonly status: string
    readonly found: string
    readonly advice?: string
    readonly command?: string
  }

  async function check(only: readonly string[], environment = {}) {
    const args = ['check', '--format', 'json', ...only.flatMap((id) => ['--only', id])]
    const { code, stdout, stderr } = await ask(args, environment)
    expect(stderr).toBe('')
    return { code, findings: (JSON.parse(stdout) as { readonly findings: readonly Finding[] }).findings }
  }

  it('is described in its own words', async () => {
    const { code, findings } = await check(['backend.open', 'backend.version', 'backend.kind', 'key', 'secrets'])
    expect(findings.filter(({ status }) => status === 'problem')).toEqual([])
    expect(code).toBe(0)
    const said = findings.map(({ id, status, found }) => `${id} ${status}: ${found}`)
    for (const line of [
      'backend.open ok: it answers; it takes the token',
      'backend.kind ok: the keys stay in the backend',
      'key.found ok: an RSA key of 2048 bits',
      'key.unique ok: no other key has the name rsa-1',
      "key.way ok: RSA-OAEP-256: the key service's own RSA-OAEP",
      'key.round-trip ok: RSA-OAEP-256: 32 random bytes came back unchanged',
    ]) {
      expect(said).toContain(line)
    }
    expect(said.join('\n')).toMatch(/key\.way warning: RSA-OAEP: .*it hashes with SHA-256 only/)
    expect(said.join('\n')).not.toMatch(/passphrase|PIN|logged in|KMIP|PKCS#11|HSM|store/)
  })

  it('has advice of its own for a token that is refused', async () => {
    const { code, findings } = await check(['backend.open'], setting('TOKEN__FILE', 'wrong-token'))
    expect(code).toBe(1)
    expect(findings).toMatchObject([
      {
        id: 'backend.open',
        status: 'problem',
        found: 'the key service refuses the token',
        advice: 'make a new token for the gateway, and put it where token says',
        command: `curl --silent ${server.address}/v1/sys/health`,
      },
    ])
  })

  it('has its token’s file checked', async () => {
    await workspace.write('open-token', `${server.token}\n`, 0o644)
    const { findings } = await check(['secrets.permissions'], setting('TOKEN__FILE', 'open-token'))
    expect(findings.filter(({ status }) => status !== 'ok').map(({ found }) => found)).toEqual([
      'other users can read or change the secret backends.store.token.file (mode 0644)',
    ])
  })
})

describe('a fourth kind of backend, in `keys`,', () => {
  it('makes and lists what it can hold', async () => {
    expect(await ask(['keys', 'create', 'rsa-2', '--type', 'RSA', '--size', '2048'])).toEqual(
      done('created rsa-2  RSA 2048  enabled'),
    )
    expect(await ask(['keys', 'list'])).toEqual(
      done('aes-1  oct 256  enabled\nrsa-1  RSA 2048  enabled\nrsa-2  RSA 2048  enabled'),
    )
    expectRefusal(await ask(['keys', 'create', 'rsa-1', '--type', 'RSA']), /already has a key rsa-1/)
    expectRefusal(await ask(['keys', 'create', 'aes-2', '--type', 'oct']), /a key must be RSA of 2048, 3072, 4096 bits/)
  })

  it('reports that it cannot disable or import a key', async () => {
    expectRefusal(
      await ask(['keys', 'disable', 'rsa-1']),
      /this kind of backend has no disable here: use the backend's own tools$/,
    )
    expectRefusal(
      await ask(['keys', 'import', 'rsa-3']),
      /this kind of backend has no import here: use the backend's own tools$/,
    )
  })
})

describe('a fourth kind of backend, in `serve` with two workers,', () => {
  it('wraps and unwraps a data key over HTTPS', async () => {
    const cli = new Cli(['serve', '--config', config], { program: product.program })
    try {
      const port = await listeningPort(cli)
      const call = async (operation: string, value: Uint8Array) => {
        const body = { request_context: CONTEXT, alg: 'RSA-OAEP-256', value: Buffer.from(value).toString('base64url') }
        const reply = await send(port, pki, { path: `${BASE}/rsa-1/${operation}?${API}`, body })
        expect({ status: reply.status, text: reply.text }).toMatchObject({ status: 200 })
        return Buffer.from(String(reply.json['value']), 'base64url')
      }
      const dataKey = randomBytes(32)
      const wrapped = await call('wrapkey', dataKey)
      expect(wrapped).toHaveLength(256)
      expect((await call('unwrapkey', wrapped)).equals(dataKey)).toBe(true)
      cli.kill('SIGTERM')
      const { code, stdout } = await cli.ended
      expect(code).toBe(0)
      expect(stdout).not.toContain(server.token)
    } finally {
      cli.kill()
    }
  })

  it('tries a token that is refused once, counts it, and takes another at a reload', async () => {
    const cli = new Cli(['serve', '--config', config], { program: product.program })
    const logged = (event: string) => recordsIn(cli.stdout, event)
    const soon = (what: string, ask: () => boolean | Promise<boolean>) => until(what, ask, 30_000)
    const refused = (backend: string) =>
      metric(Number(logged('admin_listening')[0]?.['port']), `ekm_logins_refused_total{backend="${backend}"}`)
    try {
      await listeningPort(cli)
      server.revoked = true
      process.kill(childrenOf(cli.process.pid ?? 0)[0] ?? 0, 'SIGKILL')
      await soon('the successor is refused', () => logged('worker_failed').length > 0)
      // Without the wait it would have been started again at once, and after 100, 200, 400 and 800 ms.
      await sleep(2500)
      expect(logged('worker_failed')).toMatchObject([{ reason: 'TRANSIT_TOKEN_REFUSED' }])
      expect(await refused('')).toBe(1)
      // The other worker asks for the token's identity every few seconds.
      await soon('the other worker is refused', async () => (await refused('store')) === 1)
      server.renewToken()
      cli.kill('SIGHUP')
      await soon('the successor does not ask again', () => logged('worker_failed').length > 1)
      await workspace.write('token', server.token)
      cli.kill('SIGHUP')
      await soon('the worker is replaced', () => logged('worker_replaced').length > 0)
    } finally {
      server.revoked = false
      cli.kill()
      await cli.ended
    }
  })
})

describe('a fourth kind of backend, in `init`,', () => {
  it('has questions of its own, and its answers are tried and written down', async () => {
    const own = [
      '--backend',
      'transit',
      '--transit-address',
      server.address,
      '--transit-token-file',
      workspace.path('token'),
    ]
    const site = [
      '--hsm-name',
      'contoso',
      '--host-name',
      'localhost',
      '--port',
      String(await freePort()),
      '--admin-port',
      'none',
    ]
    const trial = ['--server-certificate', 'trial', '--client-name', 'contoso.managedhsmclient.azure.net']
    const rest = ['--client-ca', workspace.path('client-ca.pem'), '--keys', 'payroll=rsa-1', '--yes']
    const made = workspace.path('made/gateway.yaml')
    const args = ['init', ...own, ...site, ...trial, ...rest, '--config', made]
    const ended = await run(args, { program: product.program })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toContain('it takes the token: ')
    expect(ended.stdout).not.toContain(server.token)
    const validated = await run(['config', 'validate', '--config', made], { program: product.program })
    expect(validated).toEqual(done(`${made} is valid (pools: 1, backends: 1)`))
  })
})
