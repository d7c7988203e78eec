import { execFileSync } from 'node:child_process'
import { reproducible, type Bom, type Component } from './cyclonedx.ts'
import { installedPackage } from './installed.ts'

/** Prints the CycloneDX SBOM of what is in the programs, and of the Node.js that runs them, which runs this too. */
const [contents = '.', nodePackage = ''] = process.argv.slice(2)

const printed = execFileSync(
  'npm',
  ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application', '--omit', 'dev'],
  {
    cwd: contents,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  },
)
const bom = JSON.parse(printed) as Bom
// npm names the root component after its directory.
const { name } = installedPackage(contents)
const component = { ...bom.metadata.component, name }

const { version } = installedPackage(nodePackage)
if (version !== process.versions.node) throw new Error(`the SBOM of Node.js ${version} is made with ${process.version}`)
const cpe = (vendor: string, product: string, its: string) => `cpe:2.3:a:${vendor}:${product}:${its}:*:*:*:*:*:*:*`
/** Members of `process.versions` that are no software inside of Node.js. */
const NO_SOFTWARE = ['node', 'modules', 'napi', 'cldr', 'tz', 'unicode']
const inside = Object.entries(process.versions).flatMap(([part, its = '']): Component[] =>
  NO_SOFTWARE.includes(part)
    ? []
    : [
        {
          'bom-ref': `node@${version}|${part}@${its}`,
          type: 'library',
          name: part,
          version: its,
          purl: `pkg:generic/${part}@${encodeURIComponent(its)}`,
          // OpenSSL alone, because CVEs in it are told of OpenSSL. Those that matter in the others are told of Node.js.
          ...(part === 'openssl' ? { cpe: cpe('openssl', 'openssl', its) } : {}),
        },
      ],
)
const node: Component = {
  'bom-ref': `node@${version}`,
  type: 'application',
  name: 'node',
  version,
  purl: `pkg:generic/node@${version}`,
  cpe: cpe('nodejs', 'node.js', version),
  licenses: [{ license: { id: 'MIT' } }],
  components: inside,
}
/** As npm has it, but for an address such as `git@host:path`, which is no URI and which the schema forbids. */
const withUris = (one: Component): Component => ({
  ...one,
  externalReferences: (one.externalReferences ?? []).map((reference) => ({
    ...reference,
    url: reference.url.replace(/^([\w.-]+@[\w.-]+):(?!\/)/, 'ssh://$1/'),
  })),
})
/** Whatever it bundles, some functions of its own are in the programs. */
const bundler = installedPackage('node_modules/rolldown')
const runtime: Component = {
  'bom-ref': `rolldown@${bundler.version}`,
  type: 'library',
  name: 'rolldown',
  version: bundler.version,
  purl: `pkg:npm/rolldown@${bundler.version}`,
  licenses: [{ license: { id: bundler.license ?? '' } }],
}
const dependencies = bom.dependencies.map((one) =>
  one.ref === component['bom-ref']
    ? { ...one, dependsOn: [...one.dependsOn, runtime['bom-ref'], node['bom-ref']] }
    : one,
)
process.stdout.write(
  reproducible({
    ...bom,
    metadata: { ...bom.metadata, component },
    components: [...bom.components.map(withUris), runtime, node],
    dependencies: [...dependencies, ...[runtime, node].map((one) => ({ ref: one['bom-ref'], dependsOn: [] }))],
  }),
)
