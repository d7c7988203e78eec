import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { nextTurn } from '../../src/base/turns.ts'

async function socketPair(): Promise<{ readonly one: Socket; readonly other: Socket; readonly close: () => void }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const one = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [other] = (await once(server, 'connection')) as [Socket]
  const close = () => {
    one.destroy()
    other.destroy()
    server.close()
  }
  return { one, other, close }
}

it('the next turn comes after what has arrived during this one', async () => {
  const { one, other, close } = await socketPair()
  const read: string[] = []
  one.on('data', (bytes: Buffer) => read.push(bytes.toString()))
  // What is done now is done behind the event loop's look at sockets.
  const turn = once(other, 'data').then(async () => {
    other.write('arrived')
    await nextTurn()
    return [...read]
  })
  one.write('begin')
  expect(await turn).toEqual(['arrived'])
  close()
})
