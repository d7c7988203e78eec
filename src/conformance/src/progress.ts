import type { CaseResult } from './case.ts'

/** One line of a terminal that is overwritten again and again. Without a terminal it prints nothing. */
export class ProgressLine {
  readonly #stream: NodeJS.WriteStream
  #shown = false

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  result({ id, outcome }: CaseResult, done: number, total: number): void {
    this.show(`${done}/${total} ${id} ${outcome}`)
  }

  show(text: string): void {
    if (!this.#stream.isTTY) return
    this.#shown = true
    this.#stream.write(`\r\u001b[K${text.slice(0, (this.#stream.columns || 80) - 1)}`)
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\u001b[K')
    this.#shown = false
  }
}
