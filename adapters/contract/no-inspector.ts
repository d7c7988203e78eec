/**
 * At SIGUSR1 Node.js opens its inspector on a port of 127.0.0.1, where every user of the machine can read this process's
 * memory. A program imports this module before any other: the inspector stays shut while anybody listens for the signal.
 */
process.on('SIGUSR1', () => undefined)

const FLAG = '--disable-sigusr1'

/**
 * For the command lines of Node.js programs: with it the signal does nothing from the process's first moment. Node.js 20
 * does not know it.
 */
export const withoutInspector: readonly string[] = process.allowedNodeEnvironmentFlags.has(FLAG) ? [FLAG] : []

/**
 * Closes an inspector that a signal opened before this module was there. One that the command line asks for stays.
 *
 * Node.js opens it from an interrupt, and once more from the event loop: one turn of it has to pass first.
 */
export async function closeInspector(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  const options = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')
  if (/--inspect(?:-brk|-wait)?(?:[ =]|$)/.test(options)) return
  const { url, close } = process.getBuiltinModule('node:inspector')
  if (url() !== undefined) close()
}
