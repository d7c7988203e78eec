import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { notices } from '../release/installed.ts'
import { debianPackages, sourceOf } from './debian.ts'

/** Prints the licences of everything in an image: those of the program, then those of Debian's files. */
const [root = '.', ofProgram = ''] = process.argv.slice(2)
const COMMON = '/usr/share/common-licenses'

const read = (path: string) => readFileSync(join(root, path), 'utf8').trim()
const packages = debianPackages(root).map((one) => {
  const title = `${one.name} ${one.version} (${one.licence})`
  return `${title}\n\nSource: ${sourceOf(one)}\n\n${read(`/usr/share/doc/${one.name}/copyright`)}\n`
})
const texts = readdirSync(join(root, COMMON))
  .sort()
  .map((name) => `${COMMON}/${name}\n\n${read(`${COMMON}/${name}`)}\n`)
process.stdout.write(notices([readFileSync(ofProgram, 'utf8'), ...packages, ...texts]))
