import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Cli, until } from '../../commands/cli.ts'
import { HAPROXY, healthOf } from '../../tls/support/haproxy.ts'
import { makeWorkspace } from '../../support/workspace.ts'
import { component } from '../support/component.ts'
import { hosts, withAddresses, type Network } from './network.ts'

const deploy = new URL('../../../deploy/', import.meta.url).pathname
const PATIENCE_MS = 30_000
const MAX_CONNECTIONS = '1000'

export interface Balancer extends AsyncDisposable {
  readonly log: () => string
}
export interface CheckingBalancer extends Balancer {
  /** The result of the last check of a gateway, such as `UP L7OK`. */
  health(gateway: string): Promise<string>
}
export interface ToldBalancer extends Balancer {
  /** Does what docs/operations.md says for a gateway that is about to be restarted, and for one that is back. */
  takeOut(address: string): void
  bringBack(address: string): void
}

const configured = (file: string) => withAddresses(readFileSync(join(deploy, file), 'utf8'))

/** HAProxy with the configuration of deploy/haproxy, other addresses, and a control socket. */
export async function startHaproxy(network: Network): Promise<CheckingBalancer> {
  const workspace = await makeWorkspace()
  const control = workspace.path('control')
  const file = await workspace.write('haproxy.cfg', configured('haproxy/haproxy.cfg'))
  const own = await workspace.write('control.cfg', `global\n  stats socket ${control}\n`)
  // Not every machine lets a process open the files for as many connections as the configuration allows.
  const started = new Cli(['-db', '-n', MAX_CONNECTIONS, '-f', file, '-f', own], {
    command: [...network.on('balancer'), component(HAPROXY, 'haproxy')],
  })
  await listens(started)
  return {
    log: () => started.stdout + started.stderr,
    health: (gateway) => healthOf(control, gateway),
    [Symbol.asyncDispose]: async () => {
      started.kill()
      await started.ended
      await workspace.remove()
    },
  }
}

/** nginx with the configuration of deploy/nginx and other addresses. */
export async function startNginx(network: Network): Promise<ToldBalancer> {
  component('/usr/lib/nginx/modules/ngx_stream_module.so', 'nginx libnginx-mod-stream')
  const workspace = await makeWorkspace()
  const file = await workspace.write('nginx.conf', configured('nginx/nginx.conf'))
  const directives = `daemon off; pid ${workspace.path('nginx.pid')};`
  const started = new Cli(['-e', 'stderr', '-c', file, '-g', directives], {
    command: [...network.on('balancer'), component('/usr/sbin/nginx', 'nginx')],
  })
  await listens(started)
  const edit = (expression: string) => {
    execFileSync('sed', ['-i', expression, file])
    started.kill('SIGHUP')
  }
  return {
    log: () => started.stderr,
    takeOut: (address) => edit(`s/${address}:443/& down/`),
    bringBack: (address) => edit(`s/${address}:443 down/${address}:443/`),
    [Symbol.asyncDispose]: async () => {
      // A killed nginx would leave its workers.
      started.kill('SIGTERM')
      await started.ended
      await workspace.remove()
    },
  }
}

async function listens(started: Cli): Promise<void> {
  const isOpen = async () => {
    if (!started.running) throw new Error(`the balancer ended: ${(await started.ended).stderr}`)
    const socket = connect(443, hosts.balancer)
    try {
      await once(socket, 'connect')
      return true
    } catch {
      return false
    } finally {
      socket.destroy()
    }
  }
  await until('the balancer listens', isOpen, PATIENCE_MS)
}
