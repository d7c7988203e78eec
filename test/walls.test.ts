import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { ESLint } from 'eslint'
import { describe, expect, it } from 'vitest'

const root = new URL('..', import.meta.url).pathname
const eslint = new ESLint({
  overrideConfigFile: '.config/eslint.config.js',
  // The walls need no types, which take most of the linter's time.
  overrideConfig: [{ languageOptions: { parserOptions: { projectService: false } } }],
  ruleFilter: ({ ruleId }) => ruleId === 'no-restricted-imports',
})

/** The import specifiers that the wall of `file` refuses. */
async function refused(file: string, specifiers: readonly string[]): Promise<string[]> {
  const text = specifiers.map((specifier, index) => `import * as m${index} from '${specifier}'`).join('\n')
  const [result] = await eslint.lintText(text, { filePath: file })
  const messages = result?.messages.filter(({ ruleId }) => ruleId === 'no-restricted-imports') ?? []
  // One import may break two walls.
  return [...new Set(messages.map(({ line }) => specifiers[line - 1] ?? ''))]
}

/** From the lowest to the highest. */
const floors = JSON.parse(readFileSync(join(root, '.config/floors.json'), 'utf8')) as string[]
const specifier = (from: string, to: string) => {
  const path = relative(dirname(from), to)
  return path.startsWith('.') ? path : `./${path}`
}
const fileIn = (room: string) => `src/${room}/some-file.ts`

describe('the rooms of src', () => {
  it('are the only folders and files of src besides cli.ts', () => {
    const folders = floors.map((room) => room.split('/')[0])
    // Git leaves an empty folder after its last file has moved away.
    const isEmpty = (path: string) => statSync(path).isDirectory() && readdirSync(path).length === 0
    const found = readdirSync(join(root, 'src')).filter((name) => !isEmpty(join(root, 'src', name)))
    expect(found.sort()).toEqual([...new Set([...folders, 'cli.ts', 'conformance', 'tsconfig.build.json'])].sort())
    for (const room of floors) expect(existsSync(join(root, 'src', room))).toBe(true)
  })

  it.each(floors.map((room, floor) => [room, floors.slice(floor + 1)] as const))(
    '%s imports nothing of what lies above it',
    async (room, above) => {
      const file = fileIn(room)
      const upwards = [...above.map(fileIn), 'src/cli.ts'].map((other) => specifier(file, other))
      expect(await refused(file, upwards)).toEqual(upwards)
      const deep = `src/${room}/folder/some-file.ts`
      const deepUpwards = above
        .filter((other) => !room.startsWith(`${other}/`))
        .map((other) => specifier(deep, fileIn(other)))
      expect(await refused(deep, deepUpwards)).toEqual(deepUpwards)
    },
  )

  it.each(floors.filter((room) => room !== 'commands'))('%s does not import the conformance suite', async (room) => {
    const suite = [specifier(fileIn(room), 'src/conformance/src/index.ts')]
    expect(await refused(fileIn(room), suite)).toEqual(suite)
  })

  it.each(floors)('%s imports no adapter except the contract, unless it is backends', async (room) => {
    const [contract, software] = ['contract', 'software'].map((name) =>
      specifier(fileIn(room), `adapters/${name}/index.ts`),
    )
    const wanted = room === 'backends' ? [] : room === 'x509' ? [contract, software] : [software]
    expect(await refused(fileIn(room), [contract ?? '', software ?? ''])).toEqual(wanted)
  })
})

describe('the walls between the rooms', () => {
  const contract = '../../adapters/contract/index.ts'
  const rows: readonly (readonly [file: string, refused: readonly string[], allowed: readonly string[]])[] = [
    ['src/gateway/gateway.ts', [], ['../ekm/pool.ts', '../ekm/backend/backend.ts', '../http/app.ts', contract]],
    ['src/cli.ts', ['../adapters/software/index.ts'], ['./commands/keys.ts']],
    ['src/commands/keys.ts', [], ['../gateway/gateway.ts', contract]],
    ['src/commands/check/latency.ts', ['../../../adapters/software/index.ts'], ['../../conformance/src/index.ts', '../../../adapters/contract/index.ts']],
    ['src/conformance/src/client.ts', ['../../ekm/pool.ts', '../../base/visible.ts', '../../commands/keys.ts', '../test/pki.ts', '../../../adapters/contract/index.ts', 'valibot', 'hono'], ['./target.ts', './cases/url.ts', 'node:https', 'commander']],
    ['src/conformance/src/cases/url.ts', ['../../../ekm/pool.ts', '../../../gateway/gateway.ts', '../../test/pki.ts', '../../../../adapters/contract/index.ts', 'valibot'], ['../probe.ts', './http.ts', 'node:tls']],
    ['src/conformance/test/laboratory.ts', ['../../gateway/gateway.ts', '../../../test/support/pki.ts'], ['../src/runner.ts', './pki.ts', 'vitest']],
    ['src/conformance/test/wrong-proxies/proxy.ts', ['../../../gateway/gateway.ts', '../../../../test/support/pki.ts'], ['../../src/certificates.ts', '../pki.ts', './behaviour.ts']],
    ['src/ekm/backend/backend.ts', ['../pool.ts', '../../telemetry/log.ts'], ['../../base/queue.ts', './call.ts', '../../../adapters/contract/index.ts']],
    ['src/ekm/pool.ts', [], ['./backend/call.ts', '../base/queue.ts', contract]],
    ['src/http/app.ts', ['../config/schema.ts', '../backends/index.ts'], ['../ekm/pool.ts', '../tls/client.ts', contract]],
    ['src/tls/client.ts', [], ['../ekm/allow-list.ts', '../x509/path.ts', '../settings/credentials.ts']],
    ['src/x509/path.ts', ['../base/queue.ts', 'valibot'], ['./names.ts', 'node:crypto']],
    ['src/config/load.ts', ['../ekm/pool.ts'], ['../backends/index.ts', '../settings/files.ts', contract]],
    ['src/telemetry/log.ts', ['../ekm/pool.ts'], [contract]],
    ['adapters/contract/adapter.ts', ['node:fs', 'valibot', '../software/index.ts', '../../src/gateway/gateway.ts'], ['./errors.ts']],
    ['adapters/software/adapter.ts', ['../../src/gateway/gateway.ts', '../pkcs11/index.ts', '../kmip/index.ts'], ['../contract/index.ts', '../key-wrap/index.ts', 'node:fs']],
    ['adapters/kmip/adapter.ts', ['../../src/gateway/gateway.ts', '../pkcs11/index.ts', '../software/index.ts'], ['../contract/index.ts', '../key-wrap/index.ts', '../ttlv-codec/src/index.ts', './keys/way.ts', 'node:tls']],
    ['adapters/kmip/keys/key-ring.ts', ['../../../src/gateway/gateway.ts', '../../pkcs11/index.ts'], ['../../contract/index.ts', '../../ttlv-codec/src/index.ts', '../options.ts']],
    ['adapters/vault/adapter.ts', ['../../src/gateway/gateway.ts', '../pkcs11/index.ts'], ['../contract/index.ts', '../key-wrap/index.ts', './client.ts']],
    ['adapters/vault/keys/transit.ts', ['../../../src/gateway/gateway.ts', '../../pkcs11/index.ts'], ['../../contract/index.ts', '../client.ts']],
    ['adapters/vault/keys/ring/transit.ts', ['../../../../src/gateway/gateway.ts', '../../../pkcs11/index.ts'], ['../../../contract/index.ts', '../../client.ts']],
    ['adapters/ttlv-codec/src/decode.ts', ['node:buffer', 'valibot', '../../contract/index.ts', '../../kmip/index.ts'], ['./item.ts']],
  ] /* prettier-ignore */ // one case a line

  it.each(rows)('refuse what %s may not import, and nothing else', async (file, forbidden, allowed) => {
    expect(await refused(file, [...forbidden, ...allowed])).toEqual(forbidden)
  })
})

describe('the imports of the source', () => {
  const files = ['src', 'adapters'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((path) => join(folder, path))
      .filter((path) => path.endsWith('.ts') && !/(?:^|\/)(?:node_modules|dist|test)\//.test(path)),
  )
  const importsOf = (file: string) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*)'(\.[^']+)'/g)].map(
      ([, path = '']) => normalize(join(dirname(file), path)),
    )

  it('form no circle, not even of types', () => {
    const done = new Set<string>()
    const circles: string[] = []
    const visit = (file: string, path: readonly string[]) => {
      if (path.includes(file)) return void circles.push([...path.slice(path.indexOf(file)), file].join(' > '))
      if (done.has(file)) return
      for (const other of importsOf(file)) visit(other, [...path, file])
      done.add(file)
    }
    for (const file of files) visit(file, [])
    expect(files.length).toBeGreaterThan(200)
    expect(circles).toEqual([])
  })
})
