import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Writes package.json and npm-shrinkwrap.json of the released package beside the package's other files, and into another
 * directory those of everything that is in its programs. The build puts dependencies into the programs, so that only
 * optional ones are installed with them.
 */
const [directory = '.', contents = '.'] = process.argv.slice(2)

type Json = Readonly<Record<string, unknown>>
type Flag = 'dev' | 'devOptional' | 'optional' | 'link'
type Locked = Json & Readonly<Partial<Record<Flag, boolean>>>
const read = <T>(path: string) => JSON.parse(readFileSync(path, 'utf8')) as T
const write = (path: string, content: object) => writeFileSync(path, JSON.stringify(content, undefined, 2) + '\n')

const { name, version, description, license, type, engines, bin, dependencies, optionalDependencies, allowScripts } =
  read<Json>('package.json')
const meta = { name, version, license, engines, bin, optionalDependencies }
const manifest = {
  ...meta,
  description,
  type,
  man: './share/man/man1/ekm-gateway.1',
  exports: { './package.json': './package.json' },
  allowScripts,
}

const { lockfileVersion, packages } = read<{ lockfileVersion: number; packages: Record<string, Locked> }>(
  'package-lock.json',
)
/** A lock of the packages for which `isIn` holds, of those that npm installed: workspaces are links. */
const lock = (root: Json, isIn: (one: Locked) => boolean) => ({
  name,
  version,
  lockfileVersion,
  requires: true,
  packages: {
    '': root,
    ...Object.fromEntries(
      Object.entries(packages).filter(([path, one]) => path.startsWith('node_modules/') && !one.link && isIn(one)),
    ),
  },
})
write(join(directory, 'package.json'), manifest)
write(
  join(directory, 'npm-shrinkwrap.json'),
  lock(meta, ({ optional, dev, devOptional }) => optional === true && !dev && !devOptional),
)
write(join(contents, 'package.json'), { ...manifest, dependencies })
write(
  join(contents, 'package-lock.json'),
  lock({ ...meta, dependencies }, ({ dev, devOptional }) => !dev && !devOptional),
)
