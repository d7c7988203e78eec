import { version } from '../base/version.ts'
import type { Config } from '../config/schema.ts'
import type { Log } from '../telemetry/log.ts'

/** Logs that a gateway serves. */
export function announce(log: Log, { listen, pools }: Config, port: number, workers?: number): void {
  const { host, clientAuth } = listen
  log.info('listening', { version, host, port, pools: pools.length, client_auth: clientAuth, workers })
  if (clientAuth !== 'disabled') return
  log.always('client_auth_disabled', {
    message: 'anyone who reaches this port can wrap and unwrap with every key; use this for development only',
  })
}
