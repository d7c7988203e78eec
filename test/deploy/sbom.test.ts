import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { version } from '../../src/base/version.ts'
import { pythonWith } from '../support/python.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { artefact, output } from './support.ts'

interface Component {
  readonly type: string
  readonly 'bom-ref': string
  readonly name: string
  readonly version: string
  readonly purl?: string
  readonly licenses?: readonly unknown[]
  readonly components?: readonly Component[]
  readonly evidence?: { readonly occurrences: readonly { readonly location: string }[] }
}
interface Sbom {
  readonly bomFormat: string
  readonly metadata: { readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

const read = (ending: string) => JSON.parse(readFileSync(artefact(ending), 'utf8')) as Sbom
const ofProgram = read(`gateway-${version}.cdx.json`)
const ofImage = read('-oci.cdx.json')
const installed = (name: string) =>
  output('dpkg-query', ['--show', '--showformat', '${Version}', `${name}:amd64`]).trim()

let workspace: Workspace
/** The paths of all files and links in the image. */
let files: string[]
beforeAll(async () => {
  workspace = await makeWorkspace()
  const image = workspace.path('image')
  const root = workspace.path('root')
  output('mkdir', [image, root])
  output('tar', ['-xf', artefact('-oci.tar'), '-C', image])
  const [manifest] = JSON.parse(readFileSync(join(image, 'manifest.json'), 'utf8')) as { Layers: string[] }[]
  for (const layer of manifest?.Layers ?? []) output('tar', ['-xzf', join(image, layer), '-C', root])
  files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
})
afterAll(() => workspace.remove())

/** The files that no component has. A component of npm has a package's directory, and no package inside of it. */
function unnamed(paths: readonly string[], { components }: Sbom): string[] {
  const locations = new Set(
    components.flatMap(({ evidence }) => evidence?.occurrences.map(({ location }) => location) ?? []),
  )
  const parents = (path: string): string[] => (path === '' ? [] : [path, ...parents(path.replace(/\/[^/]*$/, ''))])
  return paths.filter((path) => {
    const [, ofPackage] = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path) ?? []
    return ofPackage === undefined ? !parents(path).some((one) => locations.has(one)) : !locations.has(ofPackage)
  })
}

describe('the SBOM of the program', () => {
  it('has every package that is carried, and Node.js', () => {
    expect(ofProgram).toMatchObject({
      bomFormat: 'CycloneDX',
      metadata: { component: { name: 'ekm-gateway', version } },
    })
    const names = ofProgram.components.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['hono', 'pino', 'pkcs11js', 'rolldown', 'node']))
    expect(names).not.toContain('vitest')
    const root = ofProgram.dependencies.find(({ ref }) => ref === ofProgram.metadata.component['bom-ref'])
    expect(root?.dependsOn).toEqual(expect.arrayContaining([expect.stringMatching(/^node@/)]))
  })

  it('has what Node.js has inside, such as OpenSSL, in the versions that it tells', () => {
    const node = ofProgram.components.find(({ name }) => name === 'node')
    output('tar', ['-xzf', artefact('.tar.gz'), '-C', workspace.directory])
    const program = workspace.path(`ekm-gateway-${version}-linux-x64/lib/node`)
    const versions = JSON.parse(
      output(program, ['--print', 'JSON.stringify(process.versions)']),
    ) as NodeJS.ProcessVersions
    expect(node?.version).toBe(versions.node)
    expect(node?.components).toContainEqual(
      expect.objectContaining({ name: 'openssl', version: versions.openssl, cpe: expect.any(String) as string }),
    )
    expect(node?.components?.map(({ name }) => name)).toEqual(expect.arrayContaining(['v8', 'uv', 'zlib', 'icu']))
  })
})

describe('the SBOM of the image', () => {
  it('is of a container, and has all that the program’s has', () => {
    expect(ofImage.metadata.component).toMatchObject({ type: 'container', name: 'ekm-gateway', version })
    const refs = ofImage.components.map((component) => component['bom-ref'])
    expect(refs).toEqual(expect.arrayContaining(ofProgram.components.map((component) => component['bom-ref'])))
    expect(refs).toContain(ofProgram.metadata.component['bom-ref'])
    expect(ofImage.components).toContainEqual(expect.objectContaining({ type: 'operating-system', name: 'debian' }))
  })

  it('names every file in the image', () => {
    expect(files.length).toBeGreaterThan(100)
    expect(unnamed(files, ofImage)).toEqual([])
  })

  it.each([
    '/usr/lib/x86_64-linux-gnu/libunnamed.so.1',
    '/usr/bin/unnamed',
    '/usr/lib/ekm-gateway/lib/app/node_modules/unnamed/index.js',
    '/usr/lib/ekm-gateway/lib/app/node_modules/pkcs11js/node_modules/@unnamed/one/index.js',
  ])('would not name %s', (file) => {
    expect(unnamed([...files, file], ofImage)).toEqual([file])
  })

  it('names no file that is not there', () => {
    const locations = ofImage.components.flatMap(({ evidence }) => evidence?.occurrences ?? [])
    const absent = locations.filter(
      ({ location }) => !files.some((file) => file === location || file.startsWith(`${location}/`)),
    )
    expect(absent).toEqual([])
  })

  it.each([
    ['libc6', 'LGPL-2.1-or-later', /\?arch=amd64&distro=debian-12&upstream=glibc$/],
    ['libgcc-s1', 'GPL-3.0-or-later WITH GCC-exception-3.1', /&upstream=gcc-12$/],
    ['libstdc++6', 'GPL-3.0-or-later WITH GCC-exception-3.1', /&upstream=gcc-12$/],
    ['base-files', 'GPL-2.0-or-later', /\?arch=amd64&distro=debian-12$/],
  ])('has %s with the version of this machine, its package URL and its licence', (name, licence, qualifiers) => {
    const component = ofImage.components.find((one) => one.name === name)
    expect(component).toMatchObject({ version: installed(name), licenses: [{ expression: licence }] })
    expect(component?.purl).toMatch(qualifiers)
    expect(decodeURIComponent(component?.purl ?? '')).toContain(`pkg:deb/debian/${name}@${installed(name)}?`)
    expect(component?.purl).not.toContain('+')
  })

  it('says that Node.js uses the C library', () => {
    const node = ofImage.dependencies.find(({ ref }) => ref.startsWith('node@'))
    expect(node?.dependsOn).toEqual(expect.arrayContaining([expect.stringMatching(/^pkg:deb\/debian\/libc6@/)]))
  })

  it('is the one that is in the image', () => {
    const inside = output('find', [workspace.path('root'), '-name', 'sbom.cdx.json'])
      .trim()
      .split('\n')
    expect(inside).toEqual([workspace.path('root/usr/lib/ekm-gateway/sbom.cdx.json')])
    expect(JSON.parse(readFileSync(inside[0] ?? '', 'utf8'))).toEqual(ofImage)
  })
})

describe.each([
  ['the program', ofProgram, 'THIRD-PARTY-LICENSES'],
  ['the image', ofImage, 'THIRD-PARTY-LICENSES-oci'],
])('the licences of %s', (_what, sbom, name) => {
  it('have every package of its SBOM', () => {
    const licences = readFileSync(artefact(name), 'utf8')
    const packages = sbom.components.filter(({ name, purl }) => purl !== undefined && name !== 'ekm-gateway')
    expect(packages.length).toBeGreaterThan(20)
    for (const { name, version } of packages)
      expect(licences).toContain(`${name === 'node' ? 'Node.js' : name} ${version} (`)
  })
})

it('the licences of the image have the texts that Debian’s notices refer to, and where the sources are', () => {
  const licences = readFileSync(artefact('THIRD-PARTY-LICENSES-oci'), 'utf8')
  const texts = new Set(licences.match(/\/usr\/share\/common-licenses\/[\w.-]*\w/g))
  expect([...texts]).toEqual(expect.arrayContaining(['/usr/share/common-licenses/LGPL-2.1']))
  for (const text of texts) expect(files).toContain(text)
  expect(licences).toContain('GNU LESSER GENERAL PUBLIC LICENSE\n                       Version 2.1, February 1999')
  expect(licences).toContain(`https://snapshot.debian.org/package/glibc/${installed('libc6')}/`)
  expect(licences).toBe(readFileSync(workspace.path('root/usr/lib/ekm-gateway/THIRD-PARTY-LICENSES'), 'utf8'))
})

it.each(['gateway-VERSION.cdx.json', '-oci.cdx.json'])('%s is valid by the schema of CycloneDX', (ending) => {
  const python = join(pythonWith('cyclonedx-python-lib[json-validation]', workspace.path('python')), 'python3')
  const script = `
import sys, json
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open(sys.argv[1]).read()
known = {one.to_version(): one for one in SchemaVersion}
error = JsonStrictValidator(known[json.loads(text)["specVersion"]]).validate_str(text)
sys.exit(str(error) if error else 0)`
  output(python, ['-c', script, artefact(ending.replace('VERSION', version))])
})
