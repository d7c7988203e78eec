import { OperatorError, systemCode } from '../../adapters/contract/index.ts'
import { describeBug } from '../telemetry/bug.ts'
import { visible } from '../base/visible.ts'

/**
 * Exit statuses: 1 for what may pass or an operator can correct; from sysexits.h, EX_SOFTWARE (70) for an internal
 * error and EX_CONFIG (78).
 */
const OPERATOR = 1
const BUG = 70
const CONFIGURATION = 78

export const print = (line = ''): void => void process.stdout.write(visible(line) + '\n')
export const printError = (line: string): void => void process.stderr.write(visible(line) + '\n')

/** Runs a command to its end. Every failure becomes a message for a person and a non-zero exit status. */
export async function runCommand(command: () => Promise<unknown>): Promise<void> {
  // Node.js would print the message, which can quote a value that the code failed on.
  process.on('uncaughtException', (error) => process.exit(explain(error)))
  process.stdout.on('error', (error) => {
    const code = systemCode(error)
    // The reader, such as `head`, has seen enough.
    if (code === 'EPIPE') return
    process.exit(explain(new OperatorError('OUTPUT_UNWRITABLE', `standard output cannot be written to (${code})`)))
  })
  try {
    await command()
  } catch (error) {
    process.exitCode = explain(error)
  }
}

/**
 * Reports why `serve` did not start. The status {@link CONFIGURATION} means that another start would fail in the same
 * way, or do harm, such as locking a PIN.
 */
export function explainStart(error: unknown): number {
  const status = explain(error)
  return error instanceof OperatorError && !error.transient ? CONFIGURATION : status
}

function explain(error: unknown): number {
  if (error instanceof OperatorError) {
    printError(`ekm-gateway: ${error.message}`)
    printError(`see docs/errors.md#${error.code.toLowerCase()}`)
    return OPERATOR
  }
  printError(`ekm-gateway: an internal error; please report it: ${JSON.stringify(describeBug(error))}`)
  return BUG
}

/** SIGINT and SIGTERM. A signal that nothing waits for ends the process at once. */
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

  /** Resolves with the next signal, or with undefined after `patienceMs` milliseconds. */
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
