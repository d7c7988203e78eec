import { randomBytes } from 'node:crypto'
import type { Config } from '../../config/schema.ts'
import { TICKET_KEY_BYTES } from '../../config/ticket-keys.ts'
import type { Log } from '../../telemetry/log.ts'
import { Listener } from '../../tls/listener.ts'
import { Trust } from '../../tls/trust.ts'
import type { Address } from './handshake.ts'

const nothing = () => undefined
const silent: Log = {
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  always: nothing,
  dropped: 0,
  lost: 0,
  close: async () => undefined,
}

/**
 * Opens the gateway's own TLS side for a moment, on loopback at a port that the system chooses, and calls `work` with
 * its address.
 */
export async function withOwnListener<T>(config: Config, work: (address: Address) => Promise<T>): Promise<T> {
  const { listen, pools, limits } = config
  const host = '127.0.0.1'
  const { clientAuth, tls } = listen
  const listener = new Listener(
    { host, port: 0, clientAuth, log: silent },
    {
      ...limits,
      credentials: tls,
      trust: new Trust(pools.flatMap(({ clients }) => clients)),
      ticketKeys: randomBytes(TICKET_KEY_BYTES),
    },
  )
  const port = await listener.listen()
  try {
    return await work({ host, port })
  } finally {
    void listener.stopAccepting()
    listener.closeConnections()
  }
}
