#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { COULD_NOT_RUN } from './action.ts'
import { conformanceCommand } from './command.ts'

function giveUp(reason: string): never {
  process.stderr.write(`ekm-conformance: ${reason}\n`)
  process.exit(COULD_NOT_RUN)
}

/** The error's message is not shown, because it can quote a value that the code failed on. */
function explainBug(error: unknown): never {
  const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : []
  giveUp(['an internal error; please report it', ...frames].join('\n'))
}

process.on('uncaughtException', explainBug)
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader, such as `head`, has seen enough.
  if (error.code !== 'EPIPE') giveUp(`standard output cannot be written to (${error.code})`)
})

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
await conformanceCommand('ekm-conformance').version(version).parseAsync().catch(explainBug)
