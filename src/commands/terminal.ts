import { OperatorError, systemCode } from '../../adapters/contract/index.ts'
import { describeBug } from '../telemetry/log.ts'
import { visible } from '../base/visible.ts'

/** Exit statuses: what may pass or the operator can mend; and as sysexits.h has them, what only we can, and EX_CONFIG. */
const OPERATOR = 1
const BUG = 70
const CONFIGURATION = 78

export const print = (line = ''): void => void process.stdout.write(visible(line) + '\n')
export const printError = (line: string): void => void process.stderr.write(visible(line) + '\n')

/** Runs a command to its end. Whatever goes wrong is a message for a person and a non-zero exit status. */
export async function runCommand(command: () => Promise<unknown>): Promise<void> {
  // Node.js would print the message, which can quote a value that the code tripped over.
  process.on('uncaughtException', (error) => process.exit(explain(error)))
  process.stdout.on('error', (error) => {
    const code = systemCode(error)
    // Whoever read it, `head` for one, has seen enough.
    if (code === 'EPIPE') return
    process.exit(explain(new OperatorError('OUTPUT_UNWRITABLE', `standard output cannot be written to (${code})`)))
  })
  try {
    await command()
  } catch (error) {
    process.exitCode = explain(error)
  }
}

/** Says why `serve` did not start. With the status of {@link CONFIGURATION}, another start would do the same, or harm: lock a PIN. */
export function explainStart(error: unknown): number {
  const status = explain(error)
  return error instanceof OperatorError && !error.transient ? CONFIGURATION : status
}

function explain(error: unknown): number {
  if (error instanceof OperatorError) {
    printError(`ekm-gateway: ${error.message}`)
    return OPERATOR
  }
  printError(`ekm-gateway: an internal error; please report it: ${JSON.stringify(describeBug(error))}`)
  return BUG
}

/** SIGINT and SIGTERM. One that nobody waits for ends the process at once. */
export class StopSignals {
  #waiting: ((signal?: NodeJS.Signals) => void) | undefined

  constructor() {
    for (const [signal, number] of [['SIGINT', 2] as const, ['SIGTERM', 15] as const]) {
      process.on(signal, () => {
        if (this.#waiting === undefined) process.exit(128 + number)
        this.#waiting(signal)
      })
    }
  }

  /** Resolves with the next one, or with `undefined` after `patienceMs`. */
  next(patienceMs?: number): Promise<NodeJS.Signals | undefined> {
    return new Promise((resolve) => {
      const timer = patienceMs === undefined ? undefined : setTimeout(() => this.#waiting?.(), patienceMs)
      this.#waiting = (signal) => {
        clearTimeout(timer)
        this.#waiting = undefined
        resolve(signal)
      }
    })
  }
}
