import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { remembered } from '../../src/x509/remembered.ts'

/** What `node --cpu-prof` writes: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: CallFrame
    readonly children?: readonly number[]
  }[]
  /** Microseconds. */
  readonly startTime: number
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
}

export interface CallFrame {
  readonly functionName: string
  /** Empty for a function that is not JavaScript. */
  readonly url: string
  /** From 0. */
  readonly lineNumber: number
}

/** The only profile in a folder. */
export function readProfile(folder: string): CpuProfile {
  const files = readdirSync(folder)
  const [file] = files
  if (file === undefined || files.length > 1) throw new Error(`there are ${files.length} profiles, not one`)
  return JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as CpuProfile
}

const IDLE = '(idle)'
export const COLLECTION = "V8's collection"
export const OUTSIDE = 'native work outside JavaScript'
export const WRITE = 'the write of the reply'

const withoutUrl: Readonly<Record<string, string>> = {
  '(garbage collector)': COLLECTION,
  '(program)': OUTSIDE,
  '(root)': OUTSIDE,
  [IDLE]: IDLE,
}

/**
 * Microseconds of self time by part. A native function counts as its caller's part, except those that write to a socket.
 *
 * @param from microseconds on the clock of `startTime`
 * @param partOf the part of a JavaScript function
 */
export function selfTimes(
  { nodes, startTime, samples, timeDeltas }: CpuProfile,
  from: number,
  until: number,
  partOf: (frame: CallFrame) => string,
): ReadonlyMap<string, number> {
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])))
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const parts = new Map<number, string>()
  const look = (id: number): string => {
    const frame = frames.get(id)
    if (frame === undefined) return OUTSIDE
    if (frame.url !== '') return partOf(frame)
    const { functionName } = frame
    if (/^write/.test(functionName)) return WRITE
    const parent = parents.get(id)
    return withoutUrl[functionName] ?? (parent === undefined ? OUTSIDE : partOfNode(parent))
  }
  const partOfNode = (id: number): string => remembered(parts, id, () => look(id))
  const times = new Map<string, number>()
  let now = startTime
  for (const [index, id] of samples.entries()) {
    const took = timeDeltas[index] ?? 0
    now += took
    if (now < from || now > until) continue
    const part = partOfNode(id)
    if (part !== IDLE) times.set(part, (times.get(part) ?? 0) + took)
  }
  return times
}

/** The module of a line, in a file that holds several: .config/bundle.js leaves each module's path in a comment. */
export class Modules {
  readonly #files = new Map<string, readonly { readonly line: number; readonly path: string }[]>()

  /** The path of the module as the comment has it; that of the file if it holds one module. */
  pathOf({ url, lineNumber }: CallFrame): string {
    const modules = remembered(this.#files, url, () => modulesIn(url))
    return modules.findLast(({ line }) => line <= lineNumber)?.path ?? url
  }
}

function modulesIn(url: string): { line: number; path: string }[] {
  const lines = readFileSync(fileURLToPath(url), 'utf8').split('\n')
  return lines.flatMap((text, line) => {
    const path = /^\/\/(?:#region)? (\S+\.[mc]?js)$/.exec(text)?.[1]
    return path === undefined ? [] : [{ line, path }]
  })
}
