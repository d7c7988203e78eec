import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { makeWorkspace } from '../support/workspace.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The built product with a fourth kind of backend. */
export interface Product {
  /** The command line of that product. */
  readonly program: string
  readonly remove: () => Promise<void>
}

/**
 * Copies the compiled modules, and adds the parts of a new kind: its adapter, its row, and a line in the list of rows.
 * The copy has no other change. Programs are then made of them, as in every build.
 */
export async function buildWithFourthKind(): Promise<Product> {
  const { path, remove } = await makeWorkspace()
  await cp(join(root, 'dist'), path('dist'), { recursive: true })
  await cp(join(root, 'package.json'), path('package.json'))
  await symlink(join(root, 'node_modules'), path('node_modules'))
  for (const file of ['row.ts', ...(await adapterFiles())]) {
    await transpile(join('test/fourth-kind', file), path('dist'))
  }
  await addRow(path('dist/src/backends/index.js'))
  execFileSync(process.execPath, [join(root, '.config/bundle.js'), 'programs', path('dist')])
  return { program: path('dist/programs/cli.js'), remove }
}

const adapterFiles = async () =>
  (await readdir(join(root, 'test/fourth-kind/adapter'))).map((name) => join('adapter', name))

async function transpile(file: string, target: string): Promise<void> {
  const { outputText } = ts.transpileModule(await readFile(join(root, file), 'utf8'), { compilerOptions })
  const built = join(target, file.replace(/\.ts$/, '.js'))
  await mkdir(dirname(built), { recursive: true })
  await writeFile(built, outputText)
}

/** The compiler options of tsconfig.json that affect a single file. */
const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
}

/** Throws if the list of rows is not at its known place. */
async function addRow(index: string): Promise<void> {
  const text = await readFile(index, 'utf8')
  const rows = 'const rows = { '
  if (text.split(rows).length !== 2) throw new Error(`${index} has no line that begins with ${rows}`)
  const added = text.replace(rows, `${rows}transit, `)
  await writeFile(index, `import { transit } from '../../test/fourth-kind/row.js'\n${added}`)
}
