import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { startGateway } from '../../../src/gateway/start.ts'
import { issue } from '../../support/pki.ts'
import { freePort } from '../../kmip/pykmip.ts'
import { accepts } from '../serving.ts'
import { expectLine, FQDN, inDays, makeSite, type Site } from './site.ts'

let site: Site
beforeAll(async () => {
  site = await makeSite(['configuration', 'listener', 'tls'])
})
afterAll(() => site.workspace.remove())

/** The report while `server` has the port. */
async function whileTaken(server: Server) {
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  try {
    return await site.check({ listen: { port } })
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

describe('check of the listener, before serve starts,', () => {
  it('finds the port free, and leaves it free', async () => {
    const port = await freePort()
    const checked = await site.check({ listen: { port } })
    expectLine(checked, 'listener.port', 'ok', { found: new RegExp(`127\\.0\\.0\\.1 port ${port} is free`) })
    expect(checked.all('listener.port')[0]?.advice).toMatch(/Azure calls port 443/)
    expectLine(checked, 'tls.version', 'ok', { found: /will offer TLS 1\.3, and refuses what is older/ })
    expectLine(checked, 'tls.suites', 'ok', { found: /TLS_AES_256_GCM_SHA384 and TLS_AES_128_GCM_SHA256$/ })
    expectLine(checked, 'tls.chain', 'ok', { found: /2 certificates: ekm\.example\.com, server issuing CA/ })
    expect(await accepts(port)).toBe(false)
  })

  it.each([
    [{ port: 0 }, 'not checked', /port is 0/],
    [{ host: '203.0.113.7', port: 8443 }, 'problem', /does not have the address/],
    [{ host: 'no-such-host.invalid', port: 8443 }, 'problem', /cannot listen on no-such-host\.invalid/],
  ] as const)('judges the setting listen: %o', async (listen, status, found) => {
    expectLine(await site.check({ listen }), 'listener.port', status, { found })
  })
})

describe('check of the listener, where the port is in use,', () => {
  it('recognises this gateway', async () => {
    const port = await freePort()
    const gateway = await startGateway(loadConfig(await site.write({ listen: { port } }), {}))
    try {
      const checked = await site.check({ listen: { port } })
      expect(checked.ids('problem')).toEqual([])
      expectLine(checked, 'listener.port', 'ok', { found: /in use by a server with this certificate/ })
      expectLine(checked, 'listener.running', 'ok', { found: /a gateway answers/ })
      expectLine(checked, 'tls.suites', 'ok', { found: /the running gateway offers/ })
    } finally {
      await gateway.drain()
    }
  })

  it('reports that this gateway still shows the certificate of its start', async () => {
    const port = await freePort()
    const gateway = await startGateway(loadConfig(await site.write({ listen: { port } }), {}))
    const { serverIssuer } = site.pki
    const renewed = await issue(
      { commonName: FQDN, usage: 'server', hosts: [FQDN], notAfter: inDays(90) },
      serverIssuer,
    )
    await site.workspace.write('renewed.pem', renewed.certificate + serverIssuer.certificate)
    await site.workspace.write('renewed.key', renewed.key)
    try {
      const tls = { certificate: 'renewed.pem', key: 'renewed.key' }
      const checked = await site.check({ listen: { port, tls } })
      expectLine(checked, 'listener.running', 'problem', {
        found: /has another certificate: ekm\.example\.com/,
        advice: /reload it/,
      })
      expect(checked.ids('problem')).toEqual(['listener.running'])
    } finally {
      await gateway.drain()
    }
  })

  it('reports a server without TLS', async () => {
    const checked = await whileTaken(createHttpServer())
    expectLine(checked, 'listener.port', 'problem', {
      found: /in use by another program/,
      command: /^ss -ltnp 'sport = :\d+'$/,
    })
    expectLine(checked, 'listener.running', 'problem', { found: /does not speak TLS/ })
    // The check still sees what this gateway will offer.
    expectLine(checked, 'tls.suites', 'ok', { found: /will offer/ })
  })

  it('reports another HTTPS server', async () => {
    const { certificate: cert, key } = await issue({ commonName: 'other', usage: 'server' })
    const checked = await whileTaken(createHttpsServer({ cert, key }, (_request, response) => response.end('hello')))
    expectLine(checked, 'listener.running', 'problem', { found: /not a gateway; its certificate is other/ })
  })

  it('reports a proxy that ends TLS in front of the gateway: older versions, other suites, no ProxyError, no intermediate', async () => {
    const { certificate: cert, key } = site.pki.server
    const server = createHttpsServer({ cert, key, minVersion: 'TLSv1.2' }, (_request, response) => response.end('{}'))
    const checked = await whileTaken(server)
    expectLine(checked, 'listener.running', 'problem', { found: /is not a gateway, though it has this certificate/ })
    expectLine(checked, 'tls.version', 'problem', { found: /offers TLSv1\.2 too/, advice: /pass TLS through/ })
    expectLine(checked, 'tls.suites', 'warning', { found: /TLS_CHACHA20_POLY1305_SHA256/ })
    expectLine(checked, 'tls.chain', 'problem', { found: /does not send server issuing CA of the file/ })
  })

  it('reports a server with one suite alone, or without TLS 1.3', async () => {
    const { certificate: cert, key } = site.pki.server
    const one = createHttpsServer(
      { cert, key, minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384' },
      (_request, response) => response.end('{}'),
    )
    const oneAlone = await whileTaken(one)
    expectLine(oneAlone, 'tls.suites', 'problem', { found: /^TLS_AES_128_GCM_SHA256 is refused/ })
    const old = createHttpsServer({ cert, key, maxVersion: 'TLSv1.2' }, (_request, response) => response.end('{}'))
    expectLine(await whileTaken(old), 'tls.version', 'problem', { found: /TLS 1\.3 is refused/ })
  })
})
