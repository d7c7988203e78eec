import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Prints the reproducible CycloneDX SBOM of an installed program and of the Node.js that runs it. */
const [app = '.', nodePackage = ''] = process.argv.slice(2)

interface Component {
  readonly 'bom-ref': string
}
interface Bom {
  readonly metadata: Readonly<Record<string, unknown>> & { readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string }[]
}

const printed = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev'], {
  cwd: app,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
})
const { metadata, components, dependencies, ...bom } = JSON.parse(printed) as Bom & { serialNumber?: string }
delete bom.serialNumber
const { version } = JSON.parse(readFileSync(nodePackage, 'utf8')) as { version: string }
// npm names the root component after its directory.
const { name } = JSON.parse(readFileSync(join(app, 'package.json'), 'utf8')) as { name: string }
const node = {
  'bom-ref': `node@${version}`,
  type: 'application',
  name: 'node',
  version,
  scope: 'required',
  purl: `pkg:generic/node@${version}`,
  licenses: [{ license: { id: 'MIT' } }],
}
const time = new Date(Number(process.env['SOURCE_DATE_EPOCH'] ?? 0) * 1000).toISOString()
const by =
  <T>(text: (item: T) => string) =>
  (one: T, other: T) =>
    text(one) < text(other) ? -1 : 1
const body = {
  ...bom,
  metadata: { ...metadata, component: { ...metadata.component, name }, timestamp: time },
  components: [...components, node].sort(by((component) => component['bom-ref'])),
  dependencies: [...dependencies].sort(by(({ ref }) => ref)),
}
// A UUID of the contents (version 8 of RFC 9562) instead of a random one.
const hash = createHash('sha256').update(JSON.stringify(body)).digest('hex')
const uuid = [
  hash.slice(0, 8),
  hash.slice(8, 12),
  `8${hash.slice(13, 16)}`,
  `8${hash.slice(17, 20)}`,
  hash.slice(20, 32),
]
process.stdout.write(JSON.stringify({ ...body, serialNumber: `urn:uuid:${uuid.join('-')}` }, undefined, 2) + '\n')
