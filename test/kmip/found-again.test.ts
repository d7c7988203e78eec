import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished, vi } from 'vitest'
import { rejection } from '../contract/suite.ts'
import { ref, within } from './kmip-fixture.ts'
import { relayed } from './support/relayed.ts'

it('a KMIP server that is away for a long time is found again by calls within about a second', async () => {
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.999)
  onTestFinished(() => random.mockRestore())
  await using relayedOne = await relayed()
  const { adapter, relay, reports } = relayedOne
  const wrap = (ms = 200) => adapter.wrap(ref('aes'), 'A256KW', randomBytes(32), within(ms))
  const unreachable = () => reports.all.filter(({ event }) => event === 'kmip_server_unreachable')
  await wrap(5000)
  relay.newcomers = 'refuse'
  relay.cutOpen()
  await expect.poll(() => wrap().catch(unreachable)).toHaveLength(1)
  // By now a probe has failed after 2.6 s. The next one would come after 5.6 s.
  await sleep(2700)
  await rejection(wrap())
  relay.newcomers = 'serve'
  const back = performance.now()
  await expect.poll(() => wrap().then(Boolean, () => false)).toBe(true)
  expect(performance.now() - back).toBeLessThan(2000)
})
