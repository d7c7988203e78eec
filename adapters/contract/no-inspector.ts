/**
 * At SIGUSR1, Node.js opens its inspector on a port of 127.0.0.1, and every user of the machine can then read this
 * process's memory. A listener for the signal prevents that, so a program imports this module before any other.
 */
process.on('SIGUSR1', () => undefined)

const FLAG = '--disable-sigusr1'

/**
 * Arguments for the command line of a Node.js program. With them, SIGUSR1 does nothing from the process's first moment.
 * Node.js 20 does not know the option.
 */
export const withoutInspector: readonly string[] = process.allowedNodeEnvironmentFlags.has(FLAG) ? [FLAG] : []

/**
 * Closes an inspector that a signal opened before this module was loaded. An inspector that the command line asked for
 * stays open.
 *
 * Node.js opens the inspector from an interrupt and again from the event loop, so one turn of the loop must pass first.
 */
export async function closeInspector(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
  const options = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')
  if (/--inspect(?:-brk|-wait)?(?:[ =]|$)/.test(options)) return
  const { url, close } = process.getBuiltinModule('node:inspector')
  if (url() !== undefined) close()
}
