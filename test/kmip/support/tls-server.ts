import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Pki } from '../../support/pki.ts'
import { makeWorkspace } from '../../support/workspace.ts'
import { freePort } from '../pykmip.ts'

/** OpenSSL's own server. It refuses clients of another CA with an alert; a server of Node.js closes silently. */
export async function startTlsServer({ server, clientCa }: Pki): Promise<AsyncDisposable & { readonly port: number }> {
  const { write, remove } = await makeWorkspace()
  const port = await freePort()
  const child = spawn(
    'openssl',
    [
      ...['s_server', '-accept', `127.0.0.1:${port}`, '-Verify', '1', '-verify_return_error'],
      ...['-cert', await write('server.pem', server.certificate), '-key', await write('server.key', server.key)],
      ...['-CAfile', await write('ca.pem', clientCa.certificate)],
    ],
    // The end of its input would be the end of its connections.
    { stdio: ['pipe', 'pipe', 'ignore'] },
  )
  const ended = once(child, 'exit')
  let said = ''
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes('ACCEPT')) resolve()
    })
  })
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill()
      await ended
      await remove()
    },
  }
}
