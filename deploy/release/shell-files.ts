import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { version } from '../../src/base/version.ts'
import { program } from '../../src/commands/program.ts'
import { commandTree } from './command-tree.ts'
import { bashCompletion, fishCompletion, zshCompletion } from './completions.ts'
import { manual } from './manual.ts'

/** Writes the manual page and the completions into a directory that becomes /usr/share. */
const [share = '.'] = process.argv.slice(2)
const root = commandTree(await program())
const date = new Date(Number(process.env['SOURCE_DATE_EPOCH'] ?? 0) * 1000).toISOString().slice(0, 10)

const files = {
  'man/man1/ekm-gateway.1': manual(root, version, date),
  'bash-completion/completions/ekm-gateway': bashCompletion(root),
  'zsh/vendor-completions/_ekm-gateway': zshCompletion(root),
  'fish/vendor_completions.d/ekm-gateway.fish': fishCompletion(root),
}
for (const [name, content] of Object.entries(files)) {
  mkdirSync(dirname(join(share, name)), { recursive: true })
  writeFileSync(join(share, name), content)
}
