import { readFile } from 'node:fs/promises'

/**
 * How many descriptors this process may have open; `undefined` where the system does not say. Node.js raises its soft limit to
 * the hard one when it starts, and processes that it starts inherit it.
 */
export async function descriptorLimit(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, limit] = /^Max open files +(\d+)/m.exec(limits) ?? []
  return limit === undefined ? undefined : Number(limit)
}
