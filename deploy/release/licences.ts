import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Prints the licences of all packages in the self-contained artefacts. Exits with 1 if a package has none. */
const [tree = '.', node = '.'] = process.argv.slice(2)

interface Package {
  readonly name: string
  readonly version: string
  readonly license?: string
}

const modules = join(tree, 'lib/app/node_modules')
const directories = readdirSync(modules, { recursive: true, encoding: 'utf8' })
  .filter((path) => /(^|node_modules\/)(@[^/]+\/)?[^/@]+\/package\.json$/.test(path))
  .map((path) => join(modules, dirname(path)))

function describe(directory: string, name?: string): string {
  const own = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Package
  const texts = readdirSync(directory).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
  if (own.license === undefined && texts.length === 0) throw new Error(`${own.name} has no licence`)
  const licence = texts.sort().map((file) => readFileSync(join(directory, file), 'utf8').trim())
  const said =
    licence.length > 0
      ? licence.join('\n\n')
      : `The package has no licence text. Its package.json says: ${own.license}.`
  return `${name ?? own.name} ${own.version} (${own.license ?? 'see below'})\n\n${said}\n`
}

const all = [...directories.map((directory) => describe(directory)).sort(), describe(node, 'Node.js')]
process.stdout.write(all.join(`\n${'='.repeat(80)}\n\n`))
