import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Writes package.json and npm-shrinkwrap.json of the released package beside the package's other files. */
const [directory = '.'] = process.argv.slice(2)

type Json = Readonly<Record<string, unknown>>
type Locked = Json & { readonly dev?: boolean; readonly devOptional?: boolean; readonly link?: boolean }
const read = <T>(path: string) => JSON.parse(readFileSync(path, 'utf8')) as T
const write = (name: string, content: object) =>
  writeFileSync(join(directory, name), JSON.stringify(content, undefined, 2) + '\n')

const { name, version, description, license, type, engines, bin, dependencies, optionalDependencies, allowScripts } =
  read<Json>('package.json')
const meta = { name, version, license, engines, bin, dependencies, optionalDependencies }
write('package.json', {
  ...meta,
  description,
  type,
  man: './share/man/man1/ekm-gateway.1',
  exports: { './package.json': './package.json' },
  allowScripts,
})

/** Packages that are installed with the product: no development tool, and no package that is compiled into it. */
const isShipped = ([path, { dev, devOptional, link }]: [string, Locked]) =>
  path.startsWith('node_modules/') && !dev && !devOptional && !link
const { lockfileVersion, packages } = read<{ lockfileVersion: number; packages: Record<string, Locked> }>(
  'package-lock.json',
)
write('npm-shrinkwrap.json', {
  name,
  version,
  lockfileVersion,
  requires: true,
  packages: { '': meta, ...Object.fromEntries(Object.entries(packages).filter(isShipped)) },
})
