// Lets a child process run the adapter's TypeScript sources under Node.js 20, which cannot strip types by itself. Tests
// put this file into NODE_OPTIONS of the adapter's child processes. An installation runs compiled code.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire, register } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'

const cache = fileURLToPath(new URL('../../../node_modules/.cache/typescript-children/', import.meta.url))

if (isMainThread && !process.features.typescript) register(import.meta.url)

export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context)
  const text = readFileSync(fileURLToPath(url), 'utf8')
  const path = `${cache}${createHash('sha256').update(text).digest('hex')}.js`
  let source
  try {
    source = readFileSync(path, 'utf8')
  } catch {
    const ts = createRequire(import.meta.url)('typescript')
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true }
    source = ts.transpileModule(text, { compilerOptions }).outputText
    mkdirSync(cache, { recursive: true })
    const temporary = `${path}.${process.pid}`
    writeFileSync(temporary, source)
    renameSync(temporary, path)
  }
  return { format: 'module', source, shortCircuit: true }
}
