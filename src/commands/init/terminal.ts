import { createInterface, type Interface } from 'node:readline'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { visible } from '../../base/visible.ts'

/** As a shell has it for a program that SIGINT ended. */
const INTERRUPTED = 130

/** There is nobody, or nobody any more, who could answer differently. */
export class Unanswered extends OperatorError {}

/** Lines that a person types. What is typed ahead is kept for the questions to come. */
export class Terminal {
  readonly #lines: string[] = []
  readonly #readline: Interface
  #closed = false
  #wake: () => void = () => undefined

  constructor() {
    this.#readline = createInterface({ input: process.stdin, output: process.stdout, historySize: 0 })
    this.#readline.on('line', (line) => {
      this.#lines.push(line)
      this.#wake()
    })
    this.#readline.on('close', () => {
      this.#closed = true
      this.#wake()
    })
    this.#readline.on('SIGINT', () => {
      process.stdout.write('\n')
      process.exit(INTERRUPTED)
    })
  }

  /** The next line, without blanks around it. Rejects with {@link Unanswered} where there is none any more. */
  async question(prompt: string): Promise<string> {
    this.#readline.setPrompt(visible(prompt))
    this.#readline.prompt()
    while (this.#lines.length === 0) {
      if (this.#closed) {
        process.stdout.write('\n')
        throw new Unanswered('ANSWER_MISSING', 'the input ended before every question was answered')
      }
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    return (this.#lines.shift() ?? '').trim()
  }

  close(): void {
    this.#readline.close()
  }
}
