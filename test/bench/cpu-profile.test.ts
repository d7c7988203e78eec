import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { COLLECTION, Modules, OUTSIDE, readProfile, selfTimes, WRITE, type CpuProfile } from './cpu-profile.ts'

const node = (id: number, functionName: string, url: string, children: readonly number[] = []) => ({
  id,
  callFrame: { functionName, url, lineNumber: 0 },
  children,
})

const nodes = [
  node(1, '(root)', '', [2, 3, 4, 9]),
  node(2, '(idle)', ''),
  node(3, '(program)', ''),
  node(4, 'handler', 'file:///a.js', [5, 6, 7]),
  node(5, 'final', ''),
  node(6, 'writeLatin1String', ''),
  node(7, 'push', 'node:events', [8]),
  node(8, '(garbage collector)', ''),
  node(9, 'handler', 'file:///a.js'),
]

function profileOf(...samples: readonly number[]): CpuProfile {
  return { nodes, startTime: 1000, samples, timeDeltas: samples.map(() => 10) }
}

const timesOf = (profile: CpuProfile, from = 0, until = Infinity) =>
  Object.fromEntries(selfTimes(profile, from, until, ({ url }) => url))

test('the time of each sample goes to the part of the function that ran', () => {
  expect(timesOf(profileOf(4, 7, 9, 3))).toEqual({ 'file:///a.js': 20, 'node:events': 10, [OUTSIDE]: 10 })
})

test('a native function counts as the part that called it, a write to a socket as one of its own', () => {
  expect(timesOf(profileOf(5, 6))).toEqual({ 'file:///a.js': 10, [WRITE]: 10 })
})

test('collection has a part of its own, and time without work has none', () => {
  expect(timesOf(profileOf(2, 8, 2))).toEqual({ [COLLECTION]: 10 })
})

test('what was sampled before and after the time in question does not count', () => {
  expect(timesOf(profileOf(4, 7, 7, 4), 1020, 1030)).toEqual({ 'node:events': 20 })
})

test('a function of a file with several modules belongs to the module whose comment is above it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ekm-gateway-test-'))
  try {
    const file = join(folder, 'chunk.js')
    writeFileSync(
      file,
      'import "x"\n// dist/src/a.js\nfunction a() {}\n//#region node_modules/b/b.mjs\nfunction b() {}\n',
    )
    const modules = new Modules()
    const pathAt = (lineNumber: number) =>
      modules.pathOf({ functionName: '', url: pathToFileURL(file).href, lineNumber })
    expect([pathAt(0), pathAt(2), pathAt(4)]).toEqual([
      pathToFileURL(file).href,
      'dist/src/a.js',
      'node_modules/b/b.mjs',
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a folder without a profile is an error', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ekm-gateway-test-'))
  try {
    expect(() => readProfile(folder)).toThrow('0 profiles')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
