import { chmod } from 'node:fs/promises'
import { resolve } from 'node:path'
import { build } from 'rolldown'

/**
 * `programs DIST`: makes the programs that are installed, from the modules that the compiler wrote into DIST. Node.js
 * takes longer to find some 270 modules than to run them, in each process anew.
 *
 * `file INPUT OUTPUT`: makes one file that works by itself.
 */
const [, , what, input = '', output = ''] = process.argv

const common = {
  platform: 'node',
  // It is compiled for the machine, and is optional.
  external: ['pkcs11js'],
  logLevel: 'warn',
}
const written = {
  format: 'esm',
  // A reader, and a stack in the log, see our own names.
  minifyInternalExports: false,
}

if (what === 'programs') {
  const at = (path) => resolve(input, path)
  await build({
    ...common,
    // A program finds another one by `../FOLDER/FILE` from a module of any chunk, so that each has the folder that it has
    // among the sources.
    input: {
      cli: at('src/cli.js'),
      'serve/worker': at('src/commands/serve/worker.js'),
      'starter/main': at('adapters/pkcs11/starter/main.js'),
      'host/main': at('adapters/pkcs11/host/main.js'),
    },
    // Nobody imports a program.
    preserveEntrySignatures: false,
    output: {
      ...written,
      dir: at('programs'),
      cleanDir: true,
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name].js',
    },
  })
  await chmod(at('programs/cli.js'), 0o755)
} else if (what === 'file') {
  await build({ ...common, input, output: { ...written, file: output } })
} else {
  process.stderr.write('usage: node .config/bundle.js programs DIST | file INPUT OUTPUT\n')
  process.exit(2)
}
