import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { Secret } from '../../adapters/contract/index.ts'
import { openBackend } from '../../src/backends/index.ts'
import { serveAdmin, type AdminServer, type AdminView } from '../../src/service/admin/server.ts'
import { TokenGate } from '../../src/service/admin/token.ts'
import { lookOf } from '../admin/look.ts'
import { FaultyAdapter } from '../support/faulty-adapter.ts'
import { aesKey, contosoPool, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, send } from '../support/https.ts'
import { makePki } from '../support/pki.ts'
import { inaccessible, startChromium, watch } from './chromium.ts'
import { nightLook } from './night.ts'

let browser: Browser
beforeAll(async () => {
  browser = await startChromium()
})
afterAll(() => browser.close())
afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
})

async function open(port: number, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options })
  const page = await context.newPage()
  await page.goto(`http://127.0.0.1:${port}/`)
  return page
}
const verdict = (page: Page, says: string) => page.locator('#verdict', { hasText: says }).waitFor({ timeout: 30_000 })

/** An admin port of a gateway whose state the test sets. */
async function serve(look: AdminView['look'], gate?: TokenGate): Promise<AdminServer> {
  const view: AdminView = {
    status: () => Promise.reject(new Error('nobody asks')),
    metrics: () => Promise.reject(new Error('nobody asks')),
    look,
  }
  return serveAdmin({ host: '127.0.0.1', port: 0 }, view, gate)
}

describe('in Chromium, the status page of a gateway', () => {
  let fixture: TestGateway
  let adapter: FaultyAdapter
  beforeAll(async () => {
    const settings = { admin: { port: 0 }, pools: [contosoPool('azureekm/contoso', { 'kek-1': {} })] }
    fixture = await startTestGateway(await makePki(), [aesKey('kek-1')], settings, async (...backend) => {
      adapter = new FaultyAdapter(await openBackend(...backend))
      return adapter
    })
  })
  afterAll(() => fixture.stop())
  const admin = () => fixture.adminPort ?? 0
  const wrap = () =>
    send(fixture.port, fixture.pki, {
      path: `/azureekm/contoso/kek-1/wrapkey?${API}`,
      body: { request_context: CONTEXT, alg: 'A256KW', value: 'A'.repeat(43) },
    })

  it('shows the begin and the end of a fault without a reload, and announces both', async () => {
    await wrap()
    const page = await open(admin())
    const { asked, complaints } = watch(page)
    await verdict(page, 'Azure is being served')
    adapter.fault = { fail: 'BACKEND_UNAVAILABLE' }
    await vi.waitFor(async () => {
      await wrap()
      expect(fixture.gateway.status().ready).toBe(false)
    }, 20_000)
    await verdict(page, 'Azure is not being served')
    expect(await page.locator('#spoken').textContent()).toBe('Azure is not being served')
    expect(await page.title()).toContain('Azure is not being served')
    expect(await page.locator('.findings li').first().textContent()).toContain('EkmBackendDown')
    expect(await inaccessible(page)).toEqual([])
    adapter.fault = {}
    await verdict(page, 'Azure is')
    await page.locator('.badge', { hasText: 'backend_up' }).waitFor({ timeout: 30_000 })
    expect([[...asked], complaints]).toEqual([[`http://127.0.0.1:${admin()}`], []])
  })

  it('keeps opened and closed sections when it renews itself', async () => {
    const page = await open(admin())
    const renewed = () => page.waitForResponse((response) => response.ok(), { timeout: 30_000 })
    await page.locator('#keys-0 summary').click()
    expect(await page.locator('#keys-0').getAttribute('open')).toBeNull()
    await renewed()
    await renewed()
    expect(await page.locator('#keys-0').getAttribute('open')).toBeNull()
    expect(await page.evaluate('document.activeElement.tagName')).toBe('SUMMARY')
  })

  it('shows its first state without JavaScript, and says how to renew it', async () => {
    const page = await open(admin(), { javaScriptEnabled: false })
    await verdict(page, 'Azure is')
    expect(await page.locator('#renewal').textContent()).toMatch(/^As of .* UTC\. Reload the page to renew it\.$/)
    expect(await page.locator('svg').count()).toBe(1)
  })
})

describe('in Chromium, the status page', () => {
  let server: AdminServer
  beforeAll(async () => {
    server = await serve(async () => nightLook())
  })
  afterAll(() => server.close())

  const eyes = (['light', 'dark'] as const).flatMap((colorScheme) =>
    [1100, 390].map((width) => ({ colorScheme, width })),
  )
  it.each(eyes)('is accessible and fits: $colorScheme, $width px', async ({ colorScheme, width }) => {
    const page = await open(server.port, { colorScheme, viewport: { width, height: 844 } })
    await verdict(page, 'Azure is served in part')
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    const [red = 0] =
      String(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
        .match(/\d+/g)
        ?.map(Number) ?? []
    expect(red > 128).toBe(colorScheme === 'light')
    expect(await inaccessible(page)).toEqual([])
  })

  it('sends no request while it is hidden, and one at once when it is visible again', async () => {
    const context = await browser.newContext()
    const page = await context.newPage()
    await page.clock.install()
    await page.goto(`http://127.0.0.1:${server.port}/`)
    await page.locator('#renewal', { hasText: 'Renewed every 5 s' }).waitFor()
    let asked = 0
    page.on('request', () => (asked += 1))
    const hide = (hidden: boolean) =>
      page.evaluate(
        `Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${hidden} }); document.dispatchEvent(new Event('visibilitychange'))`,
      )
    await hide(true)
    await page.clock.runFor(60_000)
    expect(asked).toBe(0)
    await hide(false)
    await vi.waitFor(() => expect(asked).toBe(1), 15_000)
  })

  it('says that it is stale while the gateway is away, and continues when it is back', async () => {
    let isGone = false
    const shaky = await serve(async () => {
      if (isGone) throw new Error('the gateway does not say')
      return lookOf()
    })
    const page = await open(shaky.port)
    await page.locator('#renewal', { hasText: 'Renewed every 5 s' }).waitFor()
    isGone = true
    await page.locator('.stale #renewal', { hasText: /^STALE: / }).waitFor({ timeout: 60_000 })
    expect(await page.title()).toMatch(/^STALE/)
    expect(await inaccessible(page)).toEqual([])
    isGone = false
    await page.locator('body:not(.stale) #renewal', { hasText: 'Renewed' }).waitFor({ timeout: 30_000 })
    expect(await page.title()).toBe('Azure is being served · ekm-gateway')
    await shaky.close()
  })

  it('is opened with the admin token as a password, and renews itself with it', async () => {
    const token = 'the-token-of-the-operator'
    const guarded = await serve(async () => lookOf(), new TokenGate(() => new Secret(Buffer.from(token))))
    const page = await open(guarded.port, { httpCredentials: { username: 'on-call', password: token } })
    await page.locator('#renewal', { hasText: 'Renewed every 5 s' }).waitFor()
    await guarded.close()
  })

  it('stops asking when the admin token is another one, and says so', async () => {
    const [old, next] = ['the-token-of-the-operator', 'the-token-of-tomorrow']
    let token = old
    const guarded = await serve(async () => lookOf(), new TokenGate(() => new Secret(Buffer.from(token))))
    const page = await open(guarded.port, { httpCredentials: { username: 'on-call', password: old } })
    await page.locator('#renewal', { hasText: 'Renewed every 5 s' }).waitFor()
    token = next
    await page
      .locator('.stale #renewal', { hasText: 'the admin token is another one now' })
      .waitFor({ timeout: 30_000 })
    let asked = 0
    page.on('request', () => (asked += 1))
    await page.waitForTimeout(6000)
    expect(asked).toBe(0)
    await page.context().setHTTPCredentials({ username: 'on-call', password: next })
    await page.reload()
    await page.locator('body:not(.stale) #renewal', { hasText: 'Renewed every 5 s' }).waitFor()
    await guarded.close()
  })

  it('is the same as the picture in the documentation', async () => {
    const path = fileURLToPath(new URL('../../docs/images/status.png', import.meta.url))
    const page = await open(server.port, { javaScriptEnabled: false, viewport: { width: 880, height: 800 } })
    await page.screenshot({ path })
    expect(statSync(path).size).toBeLessThan(150_000)
  })
})
