/** A word that differs in more than every third character was hardly meant. */
const LETTERS_PER_EDIT = 3
/** From this length on, the beginning of one candidate alone is enough: `cert` for `certificate`. */
const SHORTEST_BEGINNING = 3

/**
 * The candidate that a mistyped `word` most likely means, regardless of case. The first of several that are equally
 * near; undefined if none is near.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const given = word.toLowerCase()
  let best: { readonly candidate: string; readonly edits: number } | undefined
  const continued: string[] = []
  for (const candidate of candidates) {
    const meant = candidate.toLowerCase()
    if (given.length >= SHORTEST_BEGINNING && meant.startsWith(given)) continued.push(candidate)
    const allowed = Math.max(1, Math.floor(Math.max(given.length, meant.length) / LETTERS_PER_EDIT))
    // The length alone decides for most candidates, also where somebody gave a very long word.
    if (Math.abs(given.length - meant.length) > allowed || meant.length < 2) continue
    const edits = distance(given, meant)
    if (edits <= allowed && edits < (best?.edits ?? Infinity)) best = { candidate, edits }
  }
  return best?.candidate ?? (continued.length === 1 ? continued[0] : undefined)
}

/** `; did you mean port?`, to be appended to a message; empty if no candidate is near. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const meant = nearest(word, candidates)
  return meant === undefined ? '' : `; did you mean ${meant}?`
}

/**
 * The optimal string alignment distance: the least number of characters to insert, remove, replace or swap with their
 * neighbour.
 */
function distance(one: string, other: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= other.length; column += 1) {
      const replaced = (last[column - 1] ?? 0) + (one[row - 1] === other[column - 1] ? 0 : 1)
      const edits = Math.min((last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, replaced)
      const isSwap = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      current.push(isSwap ? Math.min(edits, (beforeLast[column - 2] ?? Infinity) + 1) : edits)
    }
    beforeLast = last
    last = current
  }
  return last[other.length] ?? 0
}
