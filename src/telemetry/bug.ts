import type { LogFields } from './members.ts'

/**
 * What may be logged of an unexpected error. Its message is left out, and so are the first lines of the stack that
 * repeat it: the message can quote the value that the code failed on, as that of `JSON.parse` does.
 */
export function describeBug(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: typeof error }
  const { message, stack = '' } = error
  const start = stack.indexOf(message)
  const frames = start === -1 ? [] : stack.slice(start + message.length).split('\n')
  return {
    error: error.name,
    error_code: 'code' in error && typeof error.code === 'string' ? error.code : undefined,
    stack: frames
      .filter((line) => /^\s+at /.test(line))
      .map((line) => line.trim())
      .join(' | '),
  }
}
