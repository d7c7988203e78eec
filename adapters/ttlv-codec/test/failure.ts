import { TtlvError } from '../src/index.ts'

/** Code and offset of the TtlvError that `work` throws. Anything else fails the test. */
export function failureOf(work: () => unknown): { readonly code: string; readonly offset: number } {
  try {
    work()
  } catch (error) {
    if (error instanceof TtlvError) return { code: error.code, offset: error.offset }
    throw error
  }
  throw new Error('nothing was thrown')
}
