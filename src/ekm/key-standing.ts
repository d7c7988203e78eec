import type { WayFound } from '../../adapters/contract/index.ts'

/** How one algorithm is done with a key, for people. */
export interface KnownWay {
  readonly algorithm: string
  /** Absent where no way gives right results, or none could be found out. */
  readonly way?: string
  /** It could not be found out. */
  readonly undecided: boolean
  readonly exported: boolean
  /** Since when it has been known to be so, in milliseconds since the epoch. */
  readonly since: number
}

/** What was found, and since when each way is the one that it is. */
export function renewWays(before: readonly KnownWay[], found: readonly WayFound[], now = Date.now()): KnownWay[] {
  return found.map(({ algorithm, way, undecided = false, exported = false }) => {
    const known = before.find((one) => one.algorithm === algorithm)
    if (known !== undefined && known.way === way && known.undecided === undecided) return known
    return { algorithm, ...(way !== undefined && { way }), undecided, exported, since: now }
  })
}
