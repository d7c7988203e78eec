import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { startGateway } from '../../../src/gateway/gateway.ts'
import { issue } from '../../support/pki.ts'
import { freePort } from '../../kmip/pykmip.ts'
import { accepts } from '../serving.ts'
import { expectLine, FQDN, inDays, makeSite, type Site } from './site.ts'

let site: Site
beforeAll(async () => {
  site = await makeSite(['configuration', 'listener', 'tls'])
})
afterAll(() => site.workspace.remove())

/** What is wrong while `server` has the port. */
async function whileTaken(server: Server) {
  const port = await freePort()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  try {
    return await site.check({ listen: { port } })
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

describe('before the start', () => {
  it('the port is free, and still is afterwards', async () => {
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
  ] as const)('listen: %o', async (listen, status, found) => {
    expectLine(await site.check({ listen }), 'listener.port', status, { found })
  })
})

describe('the port is in use', () => {
  it('by this gateway', async () => {
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

  it('by this gateway, with the certificate of its start', async () => {
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

  it('by something without TLS', async () => {
    const checked = await whileTaken(createHttpServer())
    expectLine(checked, 'listener.port', 'problem', {
      found: /in use, and not by this gateway/,
      command: /^ss -ltnp 'sport = :\d+'$/,
    })
    expectLine(checked, 'listener.running', 'problem', { found: /does not speak TLS/ })
    // What this gateway will offer is seen all the same.
    expectLine(checked, 'tls.suites', 'ok', { found: /will offer/ })
  })

  it('by another HTTPS server', async () => {
    const { certificate: cert, key } = await issue({ commonName: 'other', usage: 'server' })
    const checked = await whileTaken(createHttpsServer({ cert, key }, (_request, response) => response.end('hello')))
    expectLine(checked, 'listener.running', 'problem', { found: /no gateway; its certificate is other/ })
  })

  it('by something that ends TLS in front of it: older versions, other suites, no ProxyError, no intermediate', async () => {
    const { certificate: cert, key } = site.pki.server
    const server = createHttpsServer({ cert, key, minVersion: 'TLSv1.2' }, (_request, response) => response.end('{}'))
    const checked = await whileTaken(server)
    expectLine(checked, 'listener.running', 'problem', { found: /is no gateway, though it has this certificate/ })
    expectLine(checked, 'tls.version', 'problem', { found: /offers TLSv1\.2 too/, advice: /pass TLS through/ })
    expectLine(checked, 'tls.suites', 'warning', { found: /TLS_CHACHA20_POLY1305_SHA256/ })
    expectLine(checked, 'tls.chain', 'problem', { found: /server issuing CA is in the file and is not sent/ })
  })

  it('by something that has one suite alone, or no TLS 1.3', async () => {
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
