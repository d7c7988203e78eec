import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const starter = '/adapters/pkcs11/supervisor/starter.ts'
/** Where the build puts the starter's module. It looks for programs from there. */
const built = new URL('../../dist/programs/chunks/', import.meta.url)

/**
 * A plugin of Vite. The tests import the adapters' sources, and the programs that a PKCS#11 adapter starts are the built
 * ones, as in an installation. To compile them at each start would take Node.js 20 as long as the start itself.
 */
export const compiledPrograms = {
  name: 'compiled-programs',
  enforce: 'pre' as const,
  transform(code: string, id: string): string | undefined {
    if (!id.endsWith(starter)) return undefined
    if (!existsSync(fileURLToPath(built))) throw new Error(`${built.pathname} is missing: run npm run build first`)
    return code.replaceAll('import.meta.url', JSON.stringify(`${built.href}starter.js`))
  },
}
