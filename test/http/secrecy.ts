import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { treeOf } from '../bench/process-tree.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { findCanaries, type Canaries } from '../support/canaries.ts'
import { writeGatewayFiles } from '../support/gateway.ts'
import { API, CONTEXT, exchangeRaw, makeAgent, send } from '../support/https.ts'
import { makePki } from '../support/pki.ts'
import type { BackendHarness } from './harness.ts'
import { eventually } from '../support/eventually.ts'

const CLI = 'dist/programs/cli.js'
const AES = ['aes-1', ['A256KW', 'A256KWP']] as const
const RSA = ['rsa-1', ['RSA-OAEP', 'RSA-OAEP-256']] as const

const fromJwk = (text: string) => Buffer.from(text, 'base64url')

/** Runs at the most verbose level with every secret known, and searches all output for each of them. */
export function describeSecrecy(harness: BackendHarness): void {
  it('emits no data key, key-encryption key, passphrase, PIN or private key', async () => {
    expect(existsSync(CLI), 'build first: npm run build').toBe(true)
    const pki = await makePki()
    const kek = randomBytes(32)
    const rsa = await rsaKey(2048, 'secrecy')
    const backend = await harness.provide([
      { name: 'aes-1', material: { kty: 'oct', k: kek } },
      { name: 'rsa-1', material: { kty: 'RSA', bits: 2048, jwk: rsa } },
      { name: 'off', material: { kty: 'oct', k: kek }, ...harness.unusable() },
    ])
    const settings = {
      log: { level: 'debug', destination: 'stdout' },
      admin: { port: 0 },
      backend: backend.settings,
    }
    const { workspace, file } = await writeGatewayFiles(pki, [], settings)
    const dataKeys = Array.from({ length: 8 }, () => randomBytes(32))
    const canaries: Canaries = {
      ...backend.secrets,
      'AES key': kek,
      ...Object.fromEntries(
        (['d', 'p', 'q', 'dp', 'dq', 'qi'] as const).map((part) => [`RSA ${part}`, fromJwk(rsa[part])]),
      ),
      'server key': Buffer.from(pki.server.key),
      'server key (DER)': fromPem(pki.server.key),
      ...Object.fromEntries(dataKeys.map((dataKey, index) => [`data key ${index}`, dataKey])),
    }

    const child = spawn(process.execPath, [CLI, 'serve', '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] })
    let emitted = ''
    child.stdout.on('data', (chunk: Buffer) => (emitted += chunk.toString('latin1')))
    child.stderr.on('data', (chunk: Buffer) => (emitted += chunk.toString('latin1')))
    const portOf = (event: string) => {
      const found = new RegExp(`"event":"${event}".*?"port":(\\d+)`).exec(emitted)
      return Number(found?.[1] ?? expect.fail())
    }
    const port = await eventually(() => portOf('listening'))
    const agent = makeAgent(pki)

    const post = (path: string, members: object) =>
      send(port, pki, {
        agent,
        path: `/azureekm/contoso/${path}?${API}`,
        body: { request_context: CONTEXT, ...members },
      })
    let due = 0
    const note = (text: string) => (emitted += `${text}\n`)
    for (const [index, dataKey] of dataKeys.entries()) {
      for (const [key, algorithms] of harness.rsa ? [AES, RSA] : [AES]) {
        const alg = algorithms[index % 2] ?? ''
        const value = dataKey.toString('base64url')
        const wrapped = await post(`${key}/wrapkey`, { alg, value })
        note(wrapped.text)
        const unwrapped = await post(`${key}/unwrapkey`, { alg, value: wrapped.json['value'] })
        // The one place where a data key belongs.
        if (unwrapped.json['value'] === value) due += 1
        else note(unwrapped.text)

        // Data keys and wrapped values in wrong places, with every other mistake around them.
        note((await post(`${key}/unwrapkey`, { alg, value })).text)
        note((await post(`${key}/wrapkey`, { alg: value, value })).text)
        note((await post(`${key}/wrapkey`, { alg, value: `${value}=` })).text)
        note((await post(`${key}/wrapkey`, { alg, value: [value] })).text)
        note((await post(`${key}/wrapkey`, { alg, value, request_context: { [value]: value } })).text)
        note((await post(`off/wrapkey`, { alg: 'A256KW', value })).text)
        note((await post(`nobody/wrapkey`, { alg, value })).text)
        note(
          (
            await send(port, pki, {
              agent,
              path: `/azureekm/contoso/${key}/wrapkey?${API}`,
              body: `{"value":"${value}"`,
            })
          ).text,
        )
        note((await send(port, pki, { agent, path: `/azureekm/contoso/${key}/wrapkey?${API}`, body: value })).text)
        note(await exchangeRaw(port, pki, `POST /x HTTP/1.1\r\nHost: <\r\nConnection: close\r\n\r\n${value}`))
        note(await exchangeRaw(port, pki, `${dataKey.toString('hex')}\r\n\r\n`))
      }
    }
    expect(due).toBe(harness.rsa ? 16 : 8)
    for (const pid of treeOf(child.pid ?? 0)) note(await readFile(`/proc/${pid}/cmdline`, 'latin1'))
    for (const path of ['metrics', 'status', 'readyz']) {
      const told = await (await fetch(`http://127.0.0.1:${portOf('admin_listening')}/${path}`)).text()
      expect(told).toContain(path === 'metrics' ? 'ekm_request_duration_seconds_count' : '"ready"')
      note(told)
    }
    agent.destroy()
    child.kill('SIGTERM')
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0)

    const config = loadConfig(file, {})
    note(inspect(config, { depth: null, showHidden: true, maxArrayLength: null }))
    note(JSON.stringify(config))
    expect(emitted.match(/"event":"request"/g)?.length).toBeGreaterThan(harness.rsa ? 150 : 75)
    expect(findCanaries(emitted, canaries)).toEqual([])
    await workspace.remove()
    await backend.remove()
  })
}

const fromPem = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
