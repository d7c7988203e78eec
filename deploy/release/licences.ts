import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installedPackage, installedPackages, notices, type InstalledPackage } from './installed.ts'

/**
 * Prints the licences of all packages in the programs, and of further packages, whose directories are named. Exits with
 * 1 if a package has none.
 */
const [contents = '.', ...others] = process.argv.slice(2)

function describe({ directory, name, version, license }: InstalledPackage): string {
  const texts = readdirSync(directory).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
  if (license === undefined && texts.length === 0) throw new Error(`${name} has no licence`)
  const licence = texts.sort().map((file) => readFileSync(join(directory, file), 'utf8').trim())
  const said =
    licence.length > 0 ? licence.join('\n\n') : `The package has no licence text. Its package.json says: ${license}.`
  return `${name} ${version} (${license ?? 'see below'})\n\n${said}\n`
}

const packages = installedPackages(join(contents, 'node_modules'))
const further = others
  .map(installedPackage)
  .map((one) => (one.name.startsWith('node-') ? { ...one, name: 'Node.js' } : one))
process.stdout.write(notices([...packages.map(describe).sort(), ...further.map(describe)]))
