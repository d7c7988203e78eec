import { ESLint } from 'eslint'
import { describe, expect, it } from 'vitest'

const eslint = new ESLint({
  overrideConfigFile: '.config/eslint.config.js',
  // The walls need no types, which take most of the time.
  overrideConfig: [{ languageOptions: { parserOptions: { projectService: false } } }],
  ruleFilter: ({ ruleId }) => ruleId === 'no-restricted-imports',
})

/** Which import specifiers the wall of `file` refuses. */
async function refused(file: string, specifiers: readonly string[]): Promise<string[]> {
  const text = specifiers.map((specifier, index) => `import * as m${index} from '${specifier}'`).join('\n')
  const [result] = await eslint.lintText(text, { filePath: file })
  const messages = result?.messages.filter(({ ruleId }) => ruleId === 'no-restricted-imports') ?? []
  // Two walls may stand in the same place.
  return [...new Set(messages.map(({ line }) => specifiers[line - 1] ?? ''))]
}

describe('the walls between the rooms', { timeout: 60_000 }, () => {
  const contract = '../../adapters/contract/index.ts'
  const rows: readonly (readonly [file: string, refused: readonly string[], allowed: readonly string[]])[] = [
    ['src/gateway.ts', ['../adapters/software/index.ts', './commands/keys.ts', './conformance/src/index.ts'], ['../adapters/contract/index.ts', './ekm/pool.ts', './http/app.ts']],
    ['src/backends.ts', ['./http/app.ts', './commands/keys.ts'], ['../adapters/software/index.ts']],
    ['src/cli.ts', ['../adapters/software/index.ts'], ['./commands/keys.ts']],
    ['src/commands/keys.ts', ['../../adapters/software/index.ts'], ['../gateway.ts', contract]],
    ['src/commands/check/latency.ts', ['../../../adapters/software/index.ts'], ['../../conformance/src/index.ts', contract]],
    ['src/conformance/src/client.ts', ['../../ekm/pool.ts', '../../visible.ts', '../../commands/keys.ts', '../test/pki.ts', '../../../adapters/contract/index.ts', 'valibot', 'hono'], ['./target.ts', './cases/url.ts', 'node:https', 'commander']],
    ['src/conformance/src/cases/url.ts', ['../../../ekm/pool.ts', '../../../gateway.ts', '../../test/pki.ts', '../../../../adapters/contract/index.ts', 'valibot'], ['../probe.ts', './http.ts', 'node:tls']],
    ['src/conformance/test/laboratory.ts', ['../../gateway.ts', '../../../test/support/pki.ts'], ['../src/runner.ts', './pki.ts', 'vitest']],
    ['src/conformance/test/wrong-proxies/proxy.ts', ['../../../gateway.ts', '../../../../test/support/pki.ts'], ['../../src/certificates.ts', '../pki.ts', './behaviour.ts']],
    ['src/ekm/pool.ts', ['../http/app.ts', '../tls/client.ts', '../config/load.ts', '../telemetry/log.ts', '../../adapters/software/index.ts', '../commands/keys.ts'], ['./call.ts', contract]],
    ['src/http/app.ts', ['../commands/keys.ts', '../../adapters/software/index.ts'], ['../ekm/pool.ts', '../tls/client.ts', contract]],
    ['src/tls/client.ts', ['../http/app.ts', '../commands/keys.ts'], ['../ekm/allow-list.ts']],
    ['src/config/load.ts', ['../http/app.ts', '../ekm/pool.ts', '../tls/client.ts', '../../adapters/software/index.ts'], [contract]],
    ['src/telemetry/log.ts', ['../http/app.ts', '../ekm/pool.ts', '../tls/client.ts'], [contract]],
    ['adapters/contract/adapter.ts', ['node:fs', 'valibot', '../software/index.ts', '../../src/gateway.ts'], ['./errors.ts']],
    ['adapters/software/adapter.ts', ['../../src/gateway.ts', '../pkcs11/index.ts', '../kmip/index.ts'], ['../contract/index.ts', '../key-wrap/index.ts', 'node:fs']],
    ['adapters/kmip/adapter.ts', ['../../src/gateway.ts', '../pkcs11/index.ts', '../software/index.ts'], ['../contract/index.ts', '../key-wrap/index.ts', '../ttlv-codec/src/index.ts', './keys/way.ts', 'node:tls']],
    ['adapters/kmip/keys/key-ring.ts', ['../../../src/gateway.ts', '../../pkcs11/index.ts'], ['../../contract/index.ts', '../../ttlv-codec/src/index.ts', '../options.ts']],
    ['adapters/ttlv-codec/src/decode.ts', ['node:buffer', 'valibot', '../../contract/index.ts', '../../kmip/index.ts'], ['./item.ts']],
  ] // prettier-ignore

  it.each(rows)('%s', async (file, forbidden, allowed) => {
    expect(await refused(file, [...forbidden, ...allowed])).toEqual(forbidden)
  })
})
