import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { expect, it } from 'vitest'

/** What a file imports before it runs. Types are no imports, and what `import()` names is loaded later, if at all. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  const statements = text.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'"]*?\bfrom\s+)?'([^']+)'/gm)
  return [...statements].map(([, path = '']) => path)
}

/** The packages that are loaded with a program or a part of one, and how many of our own files. */
function loadedWith(entry: string): { readonly packages: readonly string[]; readonly files: number } {
  const files = new Set<string>()
  const packages = new Set<string>()
  const visit = (file: string) => {
    if (files.has(file)) return
    files.add(file)
    for (const path of importsOf(file)) {
      if (path.startsWith('.')) visit(normalize(join(dirname(file), path)))
      else if (!path.startsWith('node:')) packages.add(/^(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path)
    }
  }
  visit(entry)
  return { packages: [...packages].sort(), files: files.size }
}

// A start costs as much as what it loads: on Node.js 24, half of the CPU time of `serve` was the loading of modules.
it.each<[string, string, string[]]>([
  ['the starter of HSM hosts', 'adapters/pkcs11/starter/main.ts', []],
  // It loads pkcs11js when it opens a token.
  ['an HSM host', 'adapters/pkcs11/host/main.ts', []],
  ['the command line', 'src/cli.ts', ['commander']],
  ['config validate', 'src/commands/config/validate.ts', ['valibot', 'yaml']],
  ['serve, before it knows how many workers there are', 'src/commands/serve/run.ts', ['valibot', 'yaml']],
  ['the primary of several workers', 'src/service/workers/start.ts', ['pino', 'valibot', 'yaml']],
  ['a worker', 'src/commands/serve/worker.ts', ['hono', 'pino', 'valibot']],
  ['the admin port', 'src/service/admin/start.ts', ['@hono/node-server', 'hono', 'valibot']],
  ['check', 'src/commands/check/command.ts', ['valibot', 'yaml']],
  ['keys', 'src/commands/keys.ts', ['commander', 'valibot', 'yaml']],
  ['init', 'src/commands/init/session.ts', ['valibot', 'yaml']],
  ['the software store', 'adapters/software/index.ts', ['jose', 'valibot']],
  ['PKCS#11', 'adapters/pkcs11/index.ts', []],
  ['KMIP', 'adapters/kmip/index.ts', []],
])('%s loads no other package than it needs', (_what, entry, packages) => {
  expect(loadedWith(entry).packages).toEqual(packages)
})

it('an HSM host loads few files', () => {
  expect(loadedWith('adapters/pkcs11/starter/main.ts').files).toBeLessThan(5)
  expect(loadedWith('adapters/pkcs11/host/main.ts').files).toBeLessThan(45)
})
