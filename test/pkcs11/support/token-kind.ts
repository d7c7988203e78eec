import { wrapAlgorithms, Secret, type RsaBits, type WrapAlgorithm } from '../../../adapters/contract/index.ts'
import { open } from '../../../adapters/pkcs11/index.ts'
import type { AdapterHarness, TestKey } from '../../contract/harness.ts'
import type { BackendHarness } from '../../http/harness.ts'
import { makeWorkspace } from '../../support/workspace.ts'
import { ref } from './harness.ts'
import { PIN } from './softhsm.ts'
import { onToken, type Library } from './token-objects.ts'

/** An empty token for one test, with the user PIN `PIN`. */
export interface TestToken extends Library {
  readonly label: string
  /** Makes a key of known value, where C_CreateObject cannot. */
  put?(keys: readonly TestKey[]): void
  remove(): void | Promise<void>
}

/** A PKCS#11 library as the common suites see it. Missing abilities are stated here and are never skipped tests. */
export interface TokenKind {
  /** The library's description in `/info`. */
  readonly product: { readonly vendor: string; readonly name: string }
  readonly algorithms?: readonly WrapAlgorithm[]
  /** The supported algorithms; all if absent. */
  readonly rsaSizes?: readonly RsaBits[]
  /** The key dates that its tokens keep. */
  readonly dates: readonly ('notBefore' | 'expires')[]
  /** The longest data key in bytes that it handles in tolerable time; 4096 if absent. */
  readonly longestDataKey?: number
  make(): TestToken | Promise<TestToken>
}

export function putKeys(token: TestToken, keys: readonly TestKey[]): void {
  if (token.put) token.put(keys)
  else onToken(token.label, (objects) => keys.forEach((key) => objects.import(key)), PIN, token)
}

/** The harness of the contract's suite. */
export const contractHarness = (kind: TokenKind): AdapterHarness => ({
  name: `a PKCS#11 token (${kind.product.name})`,
  algorithms: kind.algorithms ?? wrapAlgorithms,
  // PKCS#11 has no attribute for a disabled key: an operator removes the usages, or the key.
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

/** The harness of the black-box suites. */
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
