import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CKA } from '../../adapters/pkcs11/cryptoki/numbers.ts'
import { Answer, FrameReader, FrameWriter } from '../../adapters/pkcs11/wire/frames.ts'
import { administer, open } from '../../adapters/pkcs11/index.ts'
import { Host } from '../../adapters/pkcs11/supervisor/host.ts'
import type { Starters } from '../../adapters/pkcs11/supervisor/starters.ts'
import { run } from '../commands/cli.ts'
import { faultyToken } from './support/faulty-token.ts'
import { context, recorder, ref } from './support/harness.ts'
import { PIN } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const { hsm, faults } = faultyToken()
const options = () => hsm.options('ekm', { module: faults.path, sessions: 1 })

async function opened<Result>(
  work: (adapter: Awaited<ReturnType<typeof open>>) => Promise<Result> | Result,
  report = recorder().report,
) {
  const adapter = await open(options(), report)
  try {
    return await work(adapter)
  } finally {
    await adapter.close()
  }
}

describe('what a token says of itself', () => {
  it('is shown without padding NULs, and a label without them finds the token', async () => {
    faults.script('C_GetTokenInfo nul-padded 0')
    await opened((adapter) => {
      expect(adapter.token).toMatchObject({ label: 'ekm', manufacturer: 'SoftHSM project', model: 'SoftHSM v2' })
      expect(adapter.product).toMatchObject({ vendor: 'SoftHSM project' })
    })
  })

  it.each(['0xffffffffffffffff', '0xfffffffffffffffe'])('sets no limit of sessions if it is %s', async (sessions) => {
    faults.script(`C_GetTokenInfo sessions ${sessions}`)
    expect(await opened((adapter) => adapter.token.maxSessions)).toBeUndefined()
  })

  it('sets the limit of sessions if it is a number', async () => {
    faults.script('C_GetTokenInfo sessions 16')
    expect(await opened((adapter) => adapter.token.maxSessions)).toBe(16)
  })
})

describe('a token that does not show CKA_VALUE_LEN', () => {
  it('serves its AES key, and the operator learns once that its size is unknown', async () => {
    faults.script(`C_GetAttributeValue without ${CKA.VALUE_LEN}`)
    const { report, of } = recorder()
    await opened(async (adapter) => {
      expect(await adapter.describe(ref('aes'), context())).toEqual({ kty: 'oct', bits: 256 })
      const wrapped = await adapter.wrap(ref('aes'), 'A256KW', new Uint8Array(32), context())
      expect(await adapter.unwrap(ref('aes'), 'A256KW', wrapped, context())).toEqual(new Uint8Array(32))
      await adapter.describe(ref('aes'), context())
    }, report)
    expect(of('hsm_key_size_unknown')).toHaveLength(1)
  })

  it('lists its key without a size', async () => {
    faults.script(`C_GetAttributeValue without ${CKA.VALUE_LEN}`)
    const file = join(hsm.directory, 'gateway.json')
    const backend = { kind: 'pkcs11', module: faults.path, token: { label: 'ekm' }, pin: { env: 'HSM_PIN' } }
    writeFileSync(file, JSON.stringify({ backends: { hsm: backend } }))
    const environment = { HSM_PIN: PIN, SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '' }
    const { stdout } = await run(['keys', 'list', '--config', file], { environment })
    expect(stdout).toBe('aes  oct  enabled\n')
  })
})

describe('a token that does not know CKA_VERIFY', () => {
  it.each([
    ['rsa-1', `without ${CKA.VERIFY}`],
    // tpm2-pkcs11 behaves so.
    ['rsa-2', `fails-with ${CKA.VERIFY}`],
  ])('makes an RSA key %s if it answers "%s"', async (name, fault) => {
    faults.script(`C_GenerateKeyPair ${fault}`)
    const administration = await administer(options())
    expect(await administration.create(name, { kty: 'RSA', bits: 2048 }, {})).toMatchObject({ bits: 2048 })
  })
})

describe('a token that leaves its operation active when it fails', () => {
  it('loses no session', async () => {
    onToken('ekm', (objects) => objects.rsa('rsa'))
    const { report, of } = recorder()
    await opened(async (adapter) => {
      const wrapped = await adapter.wrap(ref('rsa'), 'RSA-OAEP', new Uint8Array(32), context())
      const unwrap = () => adapter.unwrap(ref('rsa'), 'RSA-OAEP', wrapped, context())
      await unwrap()
      faults.script('C_Decrypt unended 0x5 once')
      await unwrap().catch(() => undefined)
      expect(await unwrap()).toEqual(new Uint8Array(32))
    }, report)
    expect(of('hsm_session_reopened')).toEqual([])
  })
})

describe('an error while the token is opened', () => {
  it('names the function and a remedy', async () => {
    faults.script('C_OpenSession rv 0x7')
    const error: unknown = await open(options(), () => undefined).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'OperatorError', code: 'TOKEN_UNUSABLE' })
    expect(String(error)).toMatch(/C_OpenSession answered CKR_ARGUMENTS_BAD.*; make sure that /)
  })

  it('of a SoftHSM without configuration names this cause', async () => {
    const conf = process.env['SOFTHSM2_CONF']
    process.env['SOFTHSM2_CONF'] = '/nonexistent'
    try {
      const error: unknown = await open(hsm.options('ekm'), () => undefined).catch((thrown: unknown) => thrown)
      expect(String(error)).toContain('SOFTHSM2_CONF')
    } finally {
      process.env['SOFTHSM2_CONF'] = conf
    }
  })
})

describe('a host that sends an unreadable answer', () => {
  it.each([Answer.refused, Answer.ckr])('fails the call at once (kind %i)', async (kind) => {
    const path = join(hsm.directory, `host-${kind}`)
    const server = createServer((socket) => answerAll(socket, kind)).listen(path)
    await once(server, 'listening')
    const child = spawn('sleep', ['60'])
    const channel = connect(path)
    await once(channel, 'connect')
    const starters = {
      start: (_environment: unknown, { started }: { started: (pid: number, channel: Socket) => void }) => {
        started(child.pid ?? 0, channel)
        return () => undefined
      },
    }
    const nothing = () => undefined
    const host = new Host(
      starters as unknown as Starters,
      {},
      {
        failed: nothing,
        vanished: nothing,
        unfinished: nothing,
        ended: nothing,
        idle: nothing,
      },
    )
    await expect(host.probe()).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
    child.kill('SIGKILL')
    channel.destroy()
    server.close()
  })
})

function answerAll(socket: Socket, kind: number): void {
  const reader = new FrameReader()
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk, ({ id }) => {
      const frames = new FrameWriter()
      frames.add({ id, kind, payload: Uint8Array.of(1, 2, 3) })
      socket.write(frames.take())
    })
  })
}
