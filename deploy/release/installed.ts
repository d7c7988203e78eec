import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** An npm package that is installed somewhere below a `node_modules`. */
export interface InstalledPackage {
  readonly directory: string
  readonly name: string
  readonly version: string
  readonly license?: string
}

/** The package whose package.json is in `directory`. */
export const installedPackage = (directory: string): InstalledPackage => ({
  ...(JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Omit<InstalledPackage, 'directory'>),
  directory,
})

/** All packages below a `node_modules`, those inside of other packages too. */
export const installedPackages = (modules: string): InstalledPackage[] =>
  readdirSync(modules, { recursive: true, encoding: 'utf8' })
    .filter((path) => /(^|node_modules\/)(@[^/]+\/)?[^/@]+\/package\.json$/.test(path))
    .map((path) => installedPackage(join(modules, dirname(path))))

/** One text of the licences of several packages. */
export const notices = (texts: readonly string[]) => texts.join(`\n${'='.repeat(80)}\n\n`)
