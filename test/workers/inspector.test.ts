import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askOnce } from '../bench/http-connection.ts'
import { descendantsOf, isRunning } from '../bench/process-tree.ts'
import { isRight, makePair } from '../bench/request.ts'
import { Cli, until } from '../commands/cli.ts'
import { listeningPort } from '../commands/serving.ts'
import { aes256, kw } from '../contract/reference.ts'
import { MODULE, PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { contosoPool, writeGatewayFiles } from '../support/gateway.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { targetOf } from '../support/steady-stream.ts'

const kek = randomBytes(32)
const dek = randomBytes(32)
/** An inspector would find a port even where another one uses its default port. */
const NODE_OPTIONS = '--inspect-port=0'
let pki: Pki
let hsm: SoftHsm

beforeAll(async () => {
  pki = await makePki()
  hsm = softHsm()
  hsm.initToken('inspector')
  onToken('inspector', (objects) => objects.aes('aes', {}, kek))
})
afterAll(() => hsm.remove())

/** The ports of any address on which the process itself listens. A worker's ports belong to the first process. */
function portsOf(pid: number): number[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
      } catch {
        return [] // The descriptor was closed meanwhile.
      }
    }),
  )
  const listening = ['tcp', 'tcp6'].flatMap((family) =>
    readFileSync(`/proc/${pid}/net/${family}`, 'latin1')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && own.has(`socket:[${inode}]`)),
  )
  return listening.map(([, local = '']) => Number.parseInt(local.split(':').at(-1) ?? '', 16))
}

async function withGateway(
  workers: number,
  work: (cli: Cli, served: () => Promise<void>, port: number) => Promise<void>,
) {
  const { workspace, file } = await writeGatewayFiles(pki, [], {
    workers,
    files: { pin: PIN },
    limits: { deadlineMs: 10_000 },
    log: { destination: 'stdout' },
    backend: { kind: 'pkcs11', module: MODULE, token: { label: 'inspector' }, pin: { file: 'pin' }, sessions: workers },
    pools: [contosoPool('contoso', { aes: {} })],
  })
  const environment = { SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '' }
  const cli = new Cli(['serve', '--config', file], { environment })
  const calls = makePair({ pathPrefix: 'contoso', key: 'aes', alg: 'A256KW' }, dek, kw(aes256(kek), dek))
  try {
    const port = await listeningPort(cli)
    const serves = async () => {
      for (const call of calls) expect(isRight(call, await askOnce(targetOf(port, pki), call.request))).toBe(true)
    }
    await work(cli, serves, port)
  } finally {
    cli.kill()
    await cli.ended
    await workspace.remove()
  }
}

describe('SIGUSR1 opens no inspector', () => {
  it.each([1, 2])('in the gateway, its workers, starters and HSM hosts, with workers: %i', async (workers) => {
    await withGateway(workers, async (cli, serves, port) => {
      const pid = cli.process.pid ?? 0
      const starterAndHost = 2
      const count = workers * starterAndHost + (workers > 1 ? workers : 0)
      const family = await until('every process runs', () => {
        const descendants = descendantsOf(pid)
        return descendants.length === count && [pid, ...descendants]
      })
      await serves()
      for (const one of family) {
        process.kill(one, 'SIGUSR1')
        await sleep(100)
        expect(family.filter(isRunning)).toEqual(family)
        // A host blocks until its next request, and would open the inspector then.
        for (let call = 0; call < workers; call += 1) await serves()
        expect(family.flatMap(portsOf).filter((own) => own !== port)).toEqual([])
      }
      expect(descendantsOf(pid)).toEqual(family.slice(1))
      cli.kill('SIGTERM')
      // An inspector announces itself there, even without a port.
      expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    })
  })

  it('that stays open, even if it arrives while Node.js starts', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [], { log: { destination: 'stdout' } })
    try {
      for (let attempt = 0; attempt < 5; attempt += 1) {
        const cli = new Cli(['serve', '--config', file], { environment: { NODE_OPTIONS } })
        try {
          const pid = cli.process.pid ?? 0
          // Before Node.js has installed its handler, the signal ends the process, as for any other program.
          await until('Node.js listens to signals', () => (BigInt(`0x${caughtBy(pid)}`) & SIGUSR1) !== 0n)
          process.kill(pid, 'SIGUSR1')
          const port = await listeningPort(cli)
          expect(portsOf(pid)).toEqual([port])
        } finally {
          cli.kill()
          await cli.ended
        }
      }
    } finally {
      await workspace.remove()
    }
  })
})

const SIGUSR1 = 1n << 9n
const caughtBy = (pid: number) =>
  /^SigCgt:\s+([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0'
