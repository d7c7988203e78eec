import { createHash } from 'node:crypto'

/** A component of CycloneDX 1.5, as far as the release makes them itself. */
export interface Component {
  readonly type: 'application' | 'container' | 'library' | 'operating-system'
  readonly 'bom-ref': string
  readonly name: string
  readonly version: string
  readonly purl?: string
  readonly cpe?: string
  readonly licenses?: readonly object[]
  readonly components?: readonly Component[]
  readonly externalReferences?: readonly { readonly type: string; readonly url: string; readonly comment?: string }[]
  readonly evidence?: { readonly occurrences: readonly { readonly location: string }[] }
}

export interface Dependency {
  readonly ref: string
  readonly dependsOn: readonly string[]
}

export interface Bom {
  readonly serialNumber?: string
  readonly metadata: Readonly<Record<string, unknown>> & { readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly Dependency[]
}

/** The text of an SBOM, which is the same for the same contents: sorted, with the release's time. */
export function reproducible({ metadata, components, dependencies, ...rest }: Bom): string {
  const time = new Date(Number(process.env['SOURCE_DATE_EPOCH'] ?? 0) * 1000).toISOString()
  const body = {
    ...rest,
    serialNumber: undefined,
    metadata: { ...metadata, timestamp: time },
    components: [...components].sort(by((component) => component['bom-ref'])),
    dependencies: [...dependencies].sort(by(({ ref }) => ref)),
  }
  return JSON.stringify({ ...body, serialNumber: `urn:uuid:${uuidOf(JSON.stringify(body))}` }, undefined, 2) + '\n'
}

const by =
  <T>(text: (item: T) => string) =>
  (one: T, other: T) =>
    text(one) < text(other) ? -1 : 1

/** A UUID of the contents (version 8 of RFC 9562) instead of a random one. */
function uuidOf(contents: string): string {
  const hash = createHash('sha256').update(contents).digest('hex')
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `8${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-')
}
