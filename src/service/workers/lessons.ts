import type { Lesson } from '../../tls/lesson.ts'

const MAX_LESSONS = 1000

/** Lessons of workers that stay true, for workers that start later: issuing CAs. */
export class Lessons {
  readonly #lessons = new Map<string, Lesson>()

  get all(): readonly Lesson[] {
    return [...this.#lessons.values()]
  }

  /** @returns whether it may be new to other workers */
  add(lesson: Lesson): boolean {
    if (!('issuer' in lesson)) return true
    const name = `${lesson.issuer} ${lesson.root}`
    if (this.#lessons.has(name)) return false
    const [oldest] = this.#lessons.keys()
    if (this.#lessons.size === MAX_LESSONS && oldest !== undefined) this.#lessons.delete(oldest)
    this.#lessons.set(name, lesson)
    return true
  }
}
