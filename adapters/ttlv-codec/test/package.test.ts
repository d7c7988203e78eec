import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

interface Packed {
  readonly filename: string
  readonly name: string
  readonly version: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

const modules = [
  'big-integer',
  'decode',
  'encode',
  'error',
  'format',
  'frame-reader',
  'index',
  'item',
  'limits',
  'text',
] as const

describe('the package ttlv-codec', { timeout: 120_000 }, () => {
  let directory: string
  let packed: Packed

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ttlv-codec-'))
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', directory], { cwd: root })
    packed = (JSON.parse(stdout) as [Packed])[0]
    await run('tar', ['-xzf', join(directory, packed.filename), '-C', directory])
  }, 120_000)

  afterAll(() => rm(directory, { recursive: true, force: true }))

  it('holds exactly the files of a dry run', async () => {
    const { stdout } = await run('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'], { cwd: root })
    const [announced] = JSON.parse(stdout) as [Packed]
    const expected = [
      'LICENSE',
      'README.md',
      ...modules.flatMap((name) => [`dist/${name}.d.ts`, `dist/${name}.js`]),
      'package.json',
    ]
    for (const { files } of [announced, packed]) expect(files.map(({ path }) => path).sort()).toEqual(expected.sort())
    expect(packed).toMatchObject({ name: 'ttlv-codec', version: '0.1.0' })
    expect(packed.size).toBeLessThan(40_000)
  })

  it('has no dependency, no import from outside and nothing of Node.js', async () => {
    const manifest = JSON.parse(await readFile(join(directory, 'package/package.json'), 'utf8')) as Record<
      string,
      unknown
    >
    for (const field of ['dependencies', 'peerDependencies', 'optionalDependencies', 'bundleDependencies']) {
      expect(manifest[field], field).toBeUndefined()
    }
    for (const name of modules) {
      for (const extension of ['js', 'd.ts']) {
        const text = await readFile(join(directory, `package/dist/${name}.${extension}`), 'utf8')
        const specifiers = [...text.matchAll(/(?:from|import\()\s*['"]([^'"]+)['"]/g)].map(([, specifier]) => specifier)
        for (const specifier of specifiers) expect(specifier).toMatch(/^\.\/[a-z-]+\.(js|ts)$/)
        expect(text).not.toMatch(/\bBuffer\b|\bprocess\b|\brequire\b|reference types/)
      }
    }
  })

  it('works where it is unpacked in another folder', async () => {
    const entry = pathToFileURL(join(directory, 'package/dist/index.js')).href
    const script = `
      const { decode, encode, structure, textString } = await import(${JSON.stringify(entry)})
      const item = structure(0x420078, [textString(0x420094, 'key-1')])
      console.log(decode(encode(item)).value[0].value, Buffer.from(encode(item)).toString('hex'))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script])
    expect(stdout.trim()).toBe('key-1 420078010000001042009407000000056b65792d31000000')
  })
})
