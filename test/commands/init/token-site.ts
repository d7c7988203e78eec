import { afterAll, beforeAll } from 'vitest'
import { softHsm } from '../../pkcs11/support/softhsm.ts'
import { onToken } from '../../pkcs11/support/token-objects.ts'
import { Dialogue } from './dialogue.ts'
import { makeSite, type Site } from './site.ts'

/** For a describe: a site beside a token `ekm` that has the AES key `aes`, and beside `others` that are empty. */
export function tokenSite(...others: readonly string[]) {
  const hsm = softHsm()
  const environment = { SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '' }
  let site: Site
  let dialogue: Dialogue | undefined
  beforeAll(async () => {
    for (const token of [...others, 'ekm']) hsm.initToken(token)
    onToken('ekm', (objects) => objects.aes('aes'))
    site = await makeSite()
  })
  afterAll(async () => {
    dialogue?.kill()
    await site.remove()
    hsm.remove()
  })
  return {
    environment,
    get site() {
      return site
    },
    /** Begins a session at a terminal, which is closed after the last test. */
    begin: (args: readonly string[], more: Readonly<Record<string, string>> = {}): Dialogue =>
      (dialogue = new Dialogue(['init', ...args], site.workspace.directory, { ...environment, ...more })),
  }
}
