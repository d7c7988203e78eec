import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { apiVersion } from '../../base/version.ts'
import type { Workspace } from './workspace.ts'

export interface Reply {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  readonly milliseconds: number
}

/** Plays Azure Managed HSM: one kept-alive connection over mutual TLS. */
export class Client {
  readonly #agent: Agent
  readonly #port: number

  constructor({ serverCa, client }: Workspace, port: number) {
    this.#port = port
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: 1,
      minVersion: 'TLSv1.3',
      ca: readFileSync(serverCa),
      cert: readFileSync(client.certificate),
      key: readFileSync(client.key),
    })
  }

  post(path: string, body: object): Promise<Reply> {
    const start = performance.now()
    const payload = JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const outgoing = request({
        agent: this.#agent,
        host: 'localhost',
        port: this.#port,
        method: 'POST',
        path: `${path}?api-version=${apiVersion}`,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
      })
      outgoing.on('error', reject)
      outgoing.on('response', (incoming) => {
        let text = ''
        incoming.setEncoding('utf8')
        incoming.on('data', (chunk: string) => (text += chunk))
        incoming.on('end', () => {
          const milliseconds = performance.now() - start
          resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(text) as Reply['body'], milliseconds })
        })
      })
      outgoing.end(payload)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
