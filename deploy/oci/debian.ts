import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A Debian package of which the image has files. */
export interface DebianPackage {
  readonly name: string
  readonly version: string
  readonly source: string
  readonly sourceVersion: string
  /** The names of the packages that it depends on. */
  readonly depends: readonly string[]
  readonly architecture: string
  /** An SPDX expression of the licence of the files that are in the image. */
  readonly licence: string
  /** The absolute paths of its files in the image. */
  readonly files: readonly string[]
}

const STATUS = '/var/lib/dpkg/status.d'
/** Debian has no field for it. `copyright` of each package has every notice. */
const LICENCES: Readonly<Record<string, string>> = {
  'base-files': 'GPL-2.0-or-later',
  libc6: 'LGPL-2.1-or-later',
  'libgcc-s1': 'GPL-3.0-or-later WITH GCC-exception-3.1',
  'libstdc++6': 'GPL-3.0-or-later WITH GCC-exception-3.1',
}

/** The packages that debian.sh put into `root`. Throws for a package whose licence is not known here. */
export function debianPackages(root: string): DebianPackage[] {
  const names = readdirSync(join(root, STATUS)).filter((name) => !name.endsWith('.md5sums'))
  return names.sort().map((name) => {
    const text = (file: string) => readFileSync(join(root, STATUS, file), 'utf8')
    const field = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(text(name))?.[1]
    const version = field('Version') ?? ''
    const [, source = name, sourceVersion = version] = /^(\S+)(?: \((.*)\))?$/.exec(field('Source') ?? '') ?? []
    const licence = LICENCES[name]
    if (licence === undefined) throw new Error(`the licence of ${name} is not known: add it to deploy/oci/debian.ts`)
    const list = `${name}.md5sums`
    const files = [...text(list).matchAll(/^\w+ {2}(.*)$/gm)].map(([, path]) => `/${path}`)
    return {
      name,
      version,
      source,
      sourceVersion,
      architecture: field('Architecture') ?? '',
      depends: (field('Depends') ?? '').split(', ').map((one) => one.split(' ')[0] ?? ''),
      licence,
      files: [...files, `${STATUS}/${name}`, `${STATUS}/${list}`],
    }
  })
}

/** Where Debian keeps the source of a package for good. */
export const sourceOf = ({ source, sourceVersion }: DebianPackage) =>
  `https://snapshot.debian.org/package/${source}/${sourceVersion}/`
