import { fileURLToPath } from 'node:url'
import { defineConfig } from 'rolldown'

const at = (path) => fileURLToPath(new URL(`../dist/${path}`, import.meta.url))

/**
 * Makes the programs that are installed, from the modules that the compiler wrote. Node.js takes longer to find some 270
 * modules than to run them, in each process anew. A program finds another one by `../FOLDER/FILE` from a module of any
 * chunk, so that each has the folder that it has among the sources.
 */
export default defineConfig({
  input: {
    cli: at('src/cli.js'),
    'serve/worker': at('src/commands/serve/worker.js'),
    'starter/main': at('adapters/pkcs11/starter/main.js'),
    'host/main': at('adapters/pkcs11/host/main.js'),
  },
  platform: 'node',
  // It is compiled for the machine, and is optional.
  external: ['pkcs11js'],
  // Nobody imports a program.
  preserveEntrySignatures: false,
  output: {
    dir: at('programs'),
    cleanDir: true,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
  },
})
