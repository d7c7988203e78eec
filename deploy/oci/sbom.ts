import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { reproducible, type Bom, type Component } from '../release/cyclonedx.ts'
import { installedPackages } from '../release/installed.ts'
import { debianPackages, sourceOf, type DebianPackage } from './debian.ts'

/**
 * Prints the CycloneDX SBOM of an image: what the program's SBOM has, and Debian's packages, each with the places of its
 * files. The image's own few files are the program's.
 */
const [root = '.', ofProgram = ''] = process.argv.slice(2)
const HOME = '/usr/lib/ekm-gateway'
const APP = `${HOME}/lib/app`
const PROGRAMS = `${APP}/dist/programs`

const bom = JSON.parse(readFileSync(ofProgram, 'utf8')) as Bom
const program = bom.metadata.component
const entries = (directory: string) => readdirSync(join(root, directory)).map((name) => `${directory}/${name}`)
const at = (locations: readonly string[]) => ({
  evidence: { occurrences: [...locations].sort().map((location) => ({ location })) },
})

const ownFiles = [
  ...entries(APP).filter((path) => path !== `${APP}/node_modules`),
  ...entries(HOME).filter((path) => path !== `${HOME}/lib`),
  ...['/lib', '/etc/passwd', '/etc/group', '/etc/nsswitch.conf'],
]
/** The bundler writes before each module from where it is. */
const programs = readdirSync(join(root, PROGRAMS), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.js'))
  .map((name) => ({ path: `${PROGRAMS}/${name}`, text: readFileSync(join(root, PROGRAMS, name), 'utf8') }))
const programsWith = (name: string) =>
  programs
    .filter(({ text }) => text.includes(name === 'rolldown' ? 'rolldown/runtime.js' : `node_modules/${name}/`))
    .map(({ path }) => path)
const installed = installedPackages(join(root, APP, 'node_modules'))
const located = (component: Component): Component => {
  if (component.name === 'node') return { ...component, ...at([`${HOME}/lib/node`]) }
  const found = installed.filter(({ name, version }) => `${name}@${version}` === component['bom-ref'])
  const directories = found.map(({ directory }) => directory.slice(root.length))
  return { ...component, ...at([...directories, ...programsWith(component.name)]) }
}

const release = readFileSync(join(root, '/etc/os-release'), 'utf8')
const ofRelease = (key: string) => new RegExp(`^${key}="?([^"\\n]*)`, 'm').exec(release)?.[1] ?? ''
const [distribution, distributionVersion] = [ofRelease('ID'), ofRelease('VERSION_ID')]
const system: Component = {
  'bom-ref': `os:${distribution}@${distributionVersion}`,
  type: 'operating-system',
  name: distribution,
  version: distributionVersion,
}

function packageUrl({ name, version, architecture, source, sourceVersion }: DebianPackage): string {
  const upstream = source === name ? '' : `&upstream=${source}${sourceVersion === version ? '' : `@${sourceVersion}`}`
  const qualifiers = `arch=${architecture}&distro=${distribution}-${distributionVersion}${upstream}`
  return `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${qualifiers.replaceAll('+', '%2B')}`
}
const packages = debianPackages(root)
const urls = new Map(packages.map((one) => [one.name, packageUrl(one)]))
const refs = (names: readonly string[]) => names.flatMap((name) => urls.get(name) ?? [])
const libraries = packages.map((one): Component => ({
  'bom-ref': packageUrl(one),
  type: 'library',
  name: one.name,
  version: one.version,
  purl: packageUrl(one),
  licenses: [{ expression: one.licence }],
  externalReferences: [{ type: 'distribution', url: sourceOf(one), comment: 'source' }],
  ...at(one.files),
}))

const image: Component = {
  'bom-ref': `oci:${program.name}@${program.version}`,
  type: 'container',
  name: program.name,
  version: program.version,
  purl: `pkg:oci/${program.name}?tag=${program.version}`,
  licenses: program.licenses ?? [],
}
const dependencies = bom.dependencies.map((one) =>
  one.ref.startsWith('node@')
    ? { ...one, dependsOn: refs(packages.map(({ name }) => name).filter((name) => name.startsWith('lib'))) }
    : one,
)
process.stdout.write(
  reproducible({
    ...bom,
    metadata: { ...bom.metadata, component: image },
    components: [{ ...program, ...at(ownFiles) }, ...bom.components.map(located), system, ...libraries],
    dependencies: [
      { ref: image['bom-ref'], dependsOn: [program['bom-ref'], system['bom-ref']] },
      { ref: system['bom-ref'], dependsOn: refs(['base-files']) },
      ...dependencies,
      ...packages.map((one) => ({ ref: packageUrl(one), dependsOn: refs(one.depends) })),
    ],
  }),
)
