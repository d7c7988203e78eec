import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Prints an in-toto statement with SLSA provenance, version 1, for all artefacts. It is signed with SHA256SUMS. */
const [directory = '.', commit = '', nodeLock = '', imageSbom = ''] = process.argv.slice(2)
/** The builder as a URI, which the releaser states. */
const builder = process.env['EKM_RELEASE_BUILDER'] ?? 'urn:ekm-gateway:builder:unnamed'
const repository = process.env['EKM_RELEASE_REPOSITORY'] ?? 'urn:ekm-gateway:source'

const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')
const { packages } = JSON.parse(readFileSync(nodeLock, 'utf8')) as {
  packages: Record<string, { version: string; integrity?: string }>
}
const ofNode = Object.entries(packages).flatMap(([path, { version, integrity }]) => {
  if (integrity === undefined) return []
  const name = path.slice('node_modules/'.length)
  const sha512 = Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex')
  return [{ uri: `pkg:npm/${name}@${version}`, digest: { sha512 } }]
})
const { components } = JSON.parse(readFileSync(imageSbom, 'utf8')) as { components: { purl?: string }[] }
const ofDebian = components.flatMap(({ purl }) => (purl?.startsWith('pkg:deb/') ? [{ uri: purl }] : []))

const statement = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: readdirSync(directory)
    .sort()
    .map((name) => ({ name, digest: { sha256: sha256(join(directory, name)) } })),
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {
    buildDefinition: {
      buildType: 'urn:ekm-gateway:npm-run-release:v1',
      externalParameters: { command: 'npm run release' },
      internalParameters: { SOURCE_DATE_EPOCH: process.env['SOURCE_DATE_EPOCH'] },
      resolvedDependencies: [
        { uri: repository, digest: { gitCommit: commit } },
        { uri: 'package-lock.json', digest: { sha256: sha256('package-lock.json') } },
        ...ofNode,
        ...ofDebian,
      ],
    },
    runDetails: { builder: { id: builder } },
  },
}
process.stdout.write(JSON.stringify(statement, undefined, 2) + '\n')
