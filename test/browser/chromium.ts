import { existsSync } from 'node:fs'
import { source } from 'axe-core'
import { chromium, type Browser, type Page } from 'playwright-core'

const PROGRAM = '/usr/bin/chromium'
const QUIET = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Coloured edges of letters would make the pictures large.
  '--disable-lcd-text',
]

/** Debian's Chromium, with a profile directory that is removed afterwards. */
export async function startChromium(): Promise<Browser> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: apt-get install chromium fonts-dejavu-core`)
  // Chromium's sandbox does not work for root. These pages are the gateway's own.
  return chromium.launch({ executablePath: PROGRAM, args: QUIET, chromiumSandbox: false })
}

/** The findings of axe-core, in words. The script is injected from outside, because the page's policy loads nothing. */
export async function inaccessible(page: Page): Promise<string[]> {
  await page.evaluate(source)
  const { violations } = await page.evaluate<{ violations: Violation[] }>('axe.run(document)')
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`,
  )
}

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[]
}

/** Errors on a page, and the requests that it makes. */
export function watch(page: Page) {
  const asked = new Set<string>()
  const complaints: string[] = []
  page.on('request', (request) => asked.add(new URL(request.url()).origin))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return { asked, complaints }
}
