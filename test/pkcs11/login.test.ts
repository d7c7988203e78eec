import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { open } from '../../adapters/pkcs11/index.ts'
import { descendantsOf, hostsOf, isRunning } from '../bench/process-tree.ts'
import { faultyToken } from './support/faulty-token.ts'
import { context, recorder, ref, sleep, until } from './support/harness.ts'
import { PIN } from './support/softhsm.ts'

const oneCall = fileURLToPath(new URL('support/one-call.mjs', import.meta.url))
const { hsm, faults } = faultyToken()

const LOGIN_MS = 600

/**
 * When SoftHSM last wrote to the token. It rewrites the file at each login: the file is empty in between, and stays
 * empty if the process dies then.
 */
function writtenAt(): number {
  const tokens = join(hsm.directory, 'tokens')
  return Math.max(...readdirSync(tokens).map((token) => statSync(join(tokens, token, 'token.object')).mtimeMs))
}

describe('a login to the token is not cut off', () => {
  it('by the end of the adapter', async () => {
    faults.script(`C_Login delay ${LOGIN_MS}`)
    const adapter = await open(hsm.options('ekm', { module: faults.path, sessions: 2 }), () => undefined)
    faults.logins()
    await until('the second host logs in', () => faults.logins() > 0)
    const hosts = hostsOf(process.pid)
    expect(hosts).toHaveLength(2)
    const before = writtenAt()
    await adapter.close()
    await until('the hosts have ended', () => hosts.every((pid) => !isRunning(pid)))
    expect(writtenAt()).toBeGreaterThan(before)
  })

  it('by the end of the gateway, however it ends', async () => {
    faults.script(`C_Login delay ${LOGIN_MS}`)
    faults.logins()
    const gateway = spawn(process.execPath, [oneCall, faults.path, 'ekm', PIN], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    await until('its host logs in', () => faults.logins() > 0)
    const family = descendantsOf(gateway.pid ?? 0)
    const before = writtenAt()
    gateway.kill('SIGKILL')
    await until('all have ended', () => family.every((pid) => !isRunning(pid)))
    expect(writtenAt()).toBeGreaterThan(before)
  })

  it('by the time that a call may take, when a session is renewed', async () => {
    const recorded = recorder()
    const options = hsm.options('ekm', { module: faults.path, sessions: 1, callTimeoutMs: LOGIN_MS / 2 })
    const adapter = await open(options, recorded.report)
    await adapter.qualify(ref('aes'), context())
    faults.script('C_CreateObject rv 0xb3 once', `C_Login delay ${LOGIN_MS}`)
    expect(await adapter.wrap(ref('aes'), 'A256KW', Buffer.alloc(32, 7), context())).toHaveLength(40)
    await sleep(100)
    expect(recorded.of('hsm_host_lost')).toEqual([])
    expect(recorded.of('hsm_session_reopened')).toHaveLength(1)
    await adapter.close()
  })
})
