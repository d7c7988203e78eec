import { OperatorError } from '../../adapters/contract/index.ts'
import { describeBug } from '../telemetry/log.ts'

/** Exit statuses, as sysexits would have them: what the operator can mend, and what only we can. */
const OPERATOR = 1
const BUG = 70

export const print = (line = ''): void => void process.stdout.write(line + '\n')
export const printError = (line: string): void => void process.stderr.write(line + '\n')

/** Runs a command to its end. Whatever goes wrong is a message for a person and a non-zero exit status. */
export async function runCommand(command: () => Promise<unknown>): Promise<void> {
  try {
    await command()
  } catch (error) {
    process.exitCode = explain(error)
  }
}

function explain(error: unknown): number {
  if (error instanceof OperatorError) {
    printError(`ekm-gateway: ${error.message}`)
    return OPERATOR
  }
  printError(`ekm-gateway: an internal error; please report it: ${JSON.stringify(describeBug(error))}`)
  return BUG
}

/** Resolves at SIGINT or SIGTERM; a second one ends the process at once. */
export function untilTold(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let told = false
    for (const [signal, number] of [['SIGINT', 2] as const, ['SIGTERM', 15] as const]) {
      process.on(signal, () => {
        if (told) process.exit(128 + number)
        told = true
        resolve(signal)
      })
    }
  })
}
