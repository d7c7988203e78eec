#!/usr/bin/env node
import { Command } from 'commander'
import { checkCommand } from './commands/check.ts'
import { configCommand } from './commands/config.ts'
import { conformanceCommand } from './commands/conformance.ts'
import { keysCommand } from './commands/keys.ts'
import { quickstartCommand } from './commands/quickstart.ts'
import { serveCommand } from './commands/serve.ts'
import { runCommand } from './commands/terminal.ts'
import { version } from './version.ts'

const program = new Command('ekm-gateway')
  .description("An Azure EKM Proxy: wraps and unwraps Azure Managed HSM's data keys with keys that stay outside Azure.")
  .version(version)
  .showHelpAfterError('(ekm-gateway --help shows what there is)')
  .addCommand(serveCommand())
  .addCommand(checkCommand())
  .addCommand(keysCommand())
  .addCommand(configCommand())
  .addCommand(quickstartCommand())
  .addCommand(conformanceCommand())

await runCommand(() => program.parseAsync())
