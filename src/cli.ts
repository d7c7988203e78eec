#!/usr/bin/env node
import { closeInspector } from '../adapters/contract/no-inspector.ts'
import { OperatorError } from '../adapters/contract/index.ts'
import { program } from './commands/program.ts'
import { runCommand } from './commands/terminal.ts'

/** What an older Node.js says of itself would be a name that it does not know. */
function requireNode(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  throw new OperatorError('NODE_TOO_OLD', `Node.js 20.19 or newer is needed, and this is ${process.versions.node}`)
}

await runCommand(async () => {
  requireNode()
  const commandLine = await program(process.argv[2])
  // This runs before any command has read a secret.
  await closeInspector()
  await commandLine.parseAsync()
})
