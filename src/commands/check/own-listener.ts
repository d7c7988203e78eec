import type { Config } from '../../config/schema.ts'
import type { Log } from '../../telemetry/log.ts'
import { Listener } from '../../tls/listener.ts'
import { Trust } from '../../tls/trust.ts'
import type { Place } from './handshake.ts'

const nothing = () => undefined
const silent: Log = {
  error: nothing,
  warn: nothing,
  info: nothing,
  debug: nothing,
  always: nothing,
  dropped: 0,
  close: async () => undefined,
}

/** The gateway's own TLS side for a moment, on loopback at a port that the system chooses, for `work` to look at. */
export async function withOwnListener<T>(config: Config, work: (place: Place) => Promise<T>): Promise<T> {
  const { listen, pools, limits } = config
  const host = '127.0.0.1'
  const listener = new Listener({
    host,
    port: 0,
    credentials: listen.tls,
    clientAuth: listen.clientAuth,
    trust: new Trust(pools.flatMap(({ clients }) => clients)),
    idleConnectionMs: limits.idleConnectionMs,
    log: silent,
  })
  const port = await listener.listen()
  try {
    return await work({ host, port })
  } finally {
    listener.stopAccepting()
    listener.closeConnections()
  }
}
