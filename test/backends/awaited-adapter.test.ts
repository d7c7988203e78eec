import { expect, it } from 'vitest'
import { OperatorError } from '../../adapters/contract/index.ts'
import { AwaitedAdapter } from '../../src/backends/awaited-adapter.ts'

it('an attempt to open a backend reports nothing if a reload has replaced the backend meanwhile', async () => {
  const events: string[] = []
  let refuse: (error: Error) => void = () => undefined
  const adapter = new AwaitedAdapter(
    () => new Promise((_resolve, reject) => (refuse = reject)),
    (_level, event) => events.push(event),
  )
  const tried = adapter.tryAgain()
  await adapter.close()
  refuse(new OperatorError('LOGIN_REFUSED', 'the PIN of before'))
  await tried
  expect({ events, isGivenUp: adapter.isGivenUp }).toEqual({ events: [], isGivenUp: false })
})
