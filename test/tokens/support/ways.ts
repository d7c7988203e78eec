import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { TestKey } from '../../contract/harness.ts'
import { rsaKey } from '../../contract/rsa-keys.ts'
import { context } from '../../pkcs11/support/harness.ts'
import { contractHarness, type TokenKind } from '../../pkcs11/support/token-kind.ts'

const DOCUMENT = 'docs/pkcs11.md'

/** @returns the ways of the token `name`, in the order of the page; none if the page does not list the token */
function documentedWays(name: string): string[] {
  const page = readFileSync(DOCUMENT, 'utf8')
  const [, entry = ''] = page.split(`\n- **${name}** `)
  const [own = ''] = entry.split(/\n(?=- |\n)/)
  return [...own.matchAll(/\n {2}- `[^`]+`: (.+)/g)].map(([, way = '']) => way)
}

/** Asserts that the documentation agrees with this run. */
export function describeWays(kind: TokenKind, name: string): void {
  it(`${name} does each algorithm in the way that ${DOCUMENT} tells`, async () => {
    const keys: TestKey[] = [
      { name: 'aes', material: { kty: 'oct', k: randomBytes(32) } },
      { name: 'rsa', material: { kty: 'RSA', bits: 2048, jwk: await rsaKey(2048) } },
    ]
    const started = await contractHarness(kind).start(keys)
    try {
      const waysOf = async ({ name }: TestKey) =>
        started.adapter.inspection?.ways(started.ref(name), context(30_000)) ?? []
      const found = await Promise.all(keys.map(waysOf))
      const ways = found.flat().map(({ way }) => way ?? 'none')
      expect(documentedWays(name)).toEqual(ways)
    } finally {
      await started.stop()
    }
  })
}
