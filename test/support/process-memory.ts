import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

const PAGE_BYTES = 4096
/** Bits 63 and 62 of a page's entry in /proc/PID/pagemap (proc_pid_pagemap(5)): in memory, and swapped out. */
const ENTRY_BYTES = 8
const THERE = 0xc0

/** How often each of `values` occurs in the memory of another process. It needs Linux, and the same user or root. */
export function copiesInMemory(pid: number, values: readonly Buffer[]): number[] {
  let found = values.map(() => 0)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const pagemap = openSync(`/proc/${pid}/pagemap`, 'r')
  try {
    for (const { start, length } of mappings(pid).flatMap((mapping) => written(pagemap, mapping))) {
      const bytes = Buffer.alloc(length)
      try {
        readSync(memory, bytes, 0, length, start)
      } catch {
        continue // Kernel mappings that nobody can read, such as [vvar].
      }
      found = values.map((value, index) => (found[index] ?? 0) + occurrences(bytes, value))
    }
  } finally {
    closeSync(memory)
    closeSync(pagemap)
  }
  return found
}

function occurrences(bytes: Buffer, value: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(value); at !== -1; at = bytes.indexOf(value, at + 1)) count += 1
  return count
}

interface Mapping {
  readonly start: number
  readonly length: number
}

/** The existing pages of a mapping, in contiguous runs. The other pages have never been touched. */
function written(pagemap: number, { start, length }: Mapping): Mapping[] {
  const entries = Buffer.alloc((length / PAGE_BYTES) * ENTRY_BYTES)
  const bytes = readSync(pagemap, entries, 0, entries.length, (start / PAGE_BYTES) * ENTRY_BYTES)
  const runs: { start: number; length: number }[] = []
  for (let at = 0; at < bytes; at += ENTRY_BYTES) {
    if (((entries[at + ENTRY_BYTES - 1] ?? 0) & THERE) === 0) continue
    const page = start + (at / ENTRY_BYTES) * PAGE_BYTES
    const last = runs.at(-1)
    if (last !== undefined && last.start + last.length === page) last.length += PAGE_BYTES
    else runs.push({ start: page, length: PAGE_BYTES })
  }
  return runs
}

/** Readable mappings, without address space that is only reserved. */
const mappings = (pid: number): Mapping[] =>
  readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) r/.exec(line) ?? []
      const start = parseInt(from, 16)
      const length = parseInt(to, 16) - start
      return length > 0 && length < MAX_MAPPING ? [{ start, length }] : []
    })

const MAX_MAPPING = 2 ** 30
