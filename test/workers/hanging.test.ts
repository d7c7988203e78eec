import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { askOnce } from '../bench/http-connection.ts'
import { openConnections } from '../bench/load.ts'
import { childrenOf, isRunning } from '../bench/process-tree.ts'
import { isRight, makePair, type Call } from '../bench/request.ts'
import { startServing } from '../commands/serving.ts'
import { aes256, kw } from '../contract/reference.ts'
import { aesKey } from '../support/gateway.ts'
import { makePki } from '../support/pki.ts'
import { SteadyStream, targetOf } from '../support/steady-stream.ts'

const CONNECTIONS = 6
/** It takes 12 seconds to find out: five questions, one every 2 seconds, and 2 seconds for the last one's answer. */
const PATIENCE = { timeout: 60_000, interval: 100 }

it('a worker that hangs is found out and replaced, and the other serves on', { timeout: 120_000 }, async () => {
  const pki = await makePki()
  const kek = randomBytes(32)
  const dek = randomBytes(32)
  const served = await startServing(pki, [aesKey('aes', kek)], { workers: 2, limits: { deadlineMs: 30_000 } })
  try {
    const { cli, port, logged } = served
    const pid = cli.process.pid ?? 0
    const target = targetOf(port, pki)
    const where = { pathPrefix: 'azureekm/contoso', key: 'aes', alg: 'A256KW' }
    const calls = makePair(where, dek, kw(aes256(kek), dek))
    const connections = await openConnections(target, CONNECTIONS)
    const stream = new SteadyStream(connections, calls, 50)
    await expect.poll(() => stream.right, PATIENCE).toBeGreaterThan(2 * CONNECTIONS)

    const [victim = 0, survivor = 0] = childrenOf(pid)
    process.kill(victim, 'SIGSTOP')
    const rightBefore = stream.right
    let visits = 0
    const visit = async (call: Call) => {
      if (isRight(call, await askOnce(target, call.request))) visits += 1
    }
    const visiting = Promise.allSettled([...calls, ...calls].map(visit))
    // One is handed to the worker that hangs, which has no other until it takes that.
    await expect.poll(() => visits, PATIENCE).toBeGreaterThanOrEqual(3)
    await expect.poll(() => logged('worker_lost'), PATIENCE).toMatchObject([{ pid: victim, signal: 'SIGKILL' }])
    expect(stream.right).toBeGreaterThan(rightBefore + 100)
    await expect.poll(() => logged('worker_replaced'), PATIENCE).toHaveLength(1)
    expect(isRunning(victim)).toBe(false)
    expect(childrenOf(pid)).toHaveLength(2)
    expect(childrenOf(pid)).toContain(survivor)

    await stream.stop()
    // Connections go to the workers in turn; what is lost is what was under way on those of the victim.
    expect(stream.failures.length).toBeGreaterThanOrEqual(1)
    expect(stream.failures.length).toBeLessThan(CONNECTIONS)
    for (const { what } of stream.failures) expect(what).not.toMatch(/^\d/)
    expect(stream.right + stream.failures.length).toBe(stream.sent)
    for (const connection of connections) connection.close()
    for (const call of [...calls, ...calls]) await visit(call)
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    await visiting
  } finally {
    await served.remove()
  }
})
