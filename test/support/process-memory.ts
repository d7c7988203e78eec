import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

/** How often each of `values` is somewhere in the memory of another process. Linux, and only of one's own or as root. */
export function copiesInMemory(pid: number, values: readonly Buffer[]): number[] {
  let found = values.map(() => 0)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const { start, length } of mappings(pid)) {
      const bytes = Buffer.alloc(length)
      try {
        readSync(memory, bytes, 0, length, start)
      } catch {
        continue // What the kernel shows in /proc and nobody can read, such as [vvar].
      }
      found = values.map((value, index) => (found[index] ?? 0) + occurrences(bytes, value))
    }
  } finally {
    closeSync(memory)
  }
  return found
}

function occurrences(bytes: Buffer, value: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(value); at !== -1; at = bytes.indexOf(value, at + 1)) count += 1
  return count
}

/** Those that are written to, but for address space that is only reserved: a program's own text is most of the others. */
const mappings = (pid: number) =>
  readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
      const start = parseInt(from, 16)
      const length = parseInt(to, 16) - start
      return length > 0 && length < MAX_MAPPING ? [{ start, length }] : []
    })

const MAX_MAPPING = 2 ** 26
