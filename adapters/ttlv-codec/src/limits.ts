/** Bounds on one message. Each is a whole number. A message exactly at a bound is accepted. */
export interface Limits {
  /** Bytes of the message, with its own 8-byte header. Default 1 048 576 (1 MiB). */
  readonly maxBytes: number
  /** Levels, the outermost item being level 1. Default 32, at most 512. */
  readonly maxDepth: number
  /** Items of the whole tree, Structures included. Default 65 536. */
  readonly maxItems: number
}

export const defaultLimits: Limits = { maxBytes: 1_048_576, maxDepth: 32, maxItems: 65_536 }

/** Decoding and encoding recurse once for each level. This depth is far from the stack limit of any engine. */
const DEEPEST = 512

/**
 * @returns all bounds, with defaults for those that are not given
 * @throws RangeError for an impossible bound, which is a mistake of the calling program
 */
export function completeLimits(limits: Partial<Limits>): Limits {
  const complete = { ...defaultLimits, ...limits }
  assertBound('maxBytes', complete.maxBytes, 8, 2 ** 32 + 7)
  assertBound('maxDepth', complete.maxDepth, 1, DEEPEST)
  assertBound('maxItems', complete.maxItems, 1, Number.MAX_SAFE_INTEGER)
  return complete
}

function assertBound(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw new RangeError(`${name} must be a whole number from ${min} to ${max}`)
}
