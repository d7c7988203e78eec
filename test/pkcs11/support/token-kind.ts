import { wrapAlgorithms, Secret, type RsaBits, type WrapAlgorithm } from '../../../adapters/contract/index.ts'
import { open } from '../../../adapters/pkcs11/index.ts'
import type { AdapterHarness, TestKey } from '../../contract/harness.ts'
import type { BackendHarness } from '../../http/harness.ts'
import { makeWorkspace } from '../../support/workspace.ts'
import { ref } from './harness.ts'
import { PIN } from './softhsm.ts'
import { onToken, type Library } from './token-objects.ts'

/** An empty token of one test's own, whose user's PIN is `PIN`. */
export interface TestToken extends Library {
  readonly label: string
  /** Where C_CreateObject is not the way to a key of known value. */
  put?(keys: readonly TestKey[]): void
  remove(): void | Promise<void>
}

/** A PKCS#11 library as the common suites see it. What its tokens do not have is said here and is never a skipped test. */
export interface TokenKind {
  /** What `/info` says of it. */
  readonly product: { readonly vendor: string; readonly name: string }
  readonly algorithms?: readonly WrapAlgorithm[]
  /** All if absent. */
  readonly rsaSizes?: readonly RsaBits[]
  /** Which of a key's dates its tokens keep. */
  readonly dates: readonly ('notBefore' | 'expires')[]
  /** The longest data key that it takes a tolerable time for, in bytes; 4096 if absent. */
  readonly longestDataKey?: number
  make(): TestToken | Promise<TestToken>
}

export function putKeys(token: TestToken, keys: readonly TestKey[]): void {
  if (token.put) token.put(keys)
  else onToken(token.label, (objects) => keys.forEach((key) => objects.import(key)), PIN, token)
}

/** How the contract's suite is run on it. */
export const contractHarness = (kind: TokenKind): AdapterHarness => ({
  name: `a PKCS#11 token (${kind.product.name})`,
  algorithms: kind.algorithms ?? wrapAlgorithms,
  // PKCS#11 has no such attribute: an operator removes the usages, or the key.
  canDisable: false,
  dates: kind.dates,
  ...(kind.rsaSizes !== undefined && { rsaSizes: kind.rsaSizes }),
  ...(kind.longestDataKey !== undefined && { longestDataKey: kind.longestDataKey }),
  start: async (keys) => {
    const token = await kind.make()
    putKeys(token, keys)
    const pin = new Secret(Buffer.from(PIN))
    const adapter = await open(
      { ...libraryOf(token), token: { label: token.label }, pin, sessions: 2 },
      () => undefined,
    )
    const stop = async () => {
      await adapter.close()
      await token.remove()
    }
    return { adapter, ref, stop }
  },
})

/** How the black-box suites are run on it. */
export const backendHarness = (kind: TokenKind): BackendHarness => ({
  product: kind.product,
  rsa: true,
  canDisable: false,
  dates: kind.dates,
  ...(kind.longestDataKey !== undefined && { longestValue: kind.longestDataKey }),
  unusable: () => ({ expires: new Date(Date.now() - 1000) }),
  provide: async (keys) => {
    const token = await kind.make()
    putKeys(token, keys)
    const { write, remove } = await makeWorkspace()
    const pin = { file: await write('pin', PIN) }
    return {
      settings: { kind: 'pkcs11', ...libraryOf(token), token: { label: token.label }, pin, sessions: 2 },
      secrets: { PIN: Buffer.from(PIN) },
      remove: async () => {
        await token.remove()
        await remove()
      },
    }
  },
})

export const libraryOf = ({ module, libraryParameters }: Library): Library => ({
  module,
  ...(libraryParameters !== undefined && { libraryParameters }),
})
