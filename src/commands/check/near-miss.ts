/** Why `name` could be mistaken for `wanted`. Undefined if it could not, or is the same. */
export function nearMiss(wanted: string, name: string): string | undefined {
  if (name === wanted) return undefined
  if (name.toLowerCase() === wanted.toLowerCase()) return 'differs only in upper and lower case'
  if (plain(name) === plain(wanted)) return 'differs in punctuation'
  return differsByOne(wanted, name) ? 'differs by one character' : undefined
}

const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '')

/** One character added, removed or replaced. */
function differsByOne(one: string, other: string): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one]
  if (long.length - short.length > 1) return false
  let start = 0
  while (start < short.length && short[start] === long[start]) start++
  return long.slice(start + 1) === short.slice(short.length === long.length ? start + 1 : start)
}
