import { setImmediate } from 'node:timers/promises'

/** Milliseconds for which other work may have to wait, unless less is asked for. */
const TURN_MS = 4

/** Lets the event loop do what has arrived meanwhile. After one immediate, it may not have looked for that yet. */
export async function nextTurn(): Promise<void> {
  await setImmediate()
  await setImmediate()
}

/** Long work of one kind, which lets the event loop do other work every few milliseconds. */
export class Turns {
  readonly #ms: number
  #began = performance.now()

  /** @param ms for which other work may have to wait */
  constructor(ms = TURN_MS) {
    this.#ms = ms
  }

  /** Whether it is others' turn: then await {@link next}. */
  get isOver(): boolean {
    return performance.now() - this.#began > this.#ms
  }

  async giveWay(): Promise<void> {
    if (this.isOver) await this.next()
  }

  async next(): Promise<void> {
    await setImmediate()
    this.#began = performance.now()
  }
}

/**
 * Maps one value after the other, and lets the event loop do other work every few milliseconds.
 *
 * @param ms as of {@link Turns}
 */
export async function inTurns<Value, Result>(
  values: readonly Value[],
  map: (value: Value, index: number) => Result,
  ms?: number,
): Promise<Awaited<Result>[]> {
  const turns = new Turns(ms)
  const results: Awaited<Result>[] = []
  for (const [index, value] of values.entries()) {
    results.push(await map(value, index))
    await turns.giveWay()
  }
  return results
}
