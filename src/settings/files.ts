import { closeSync, fstatSync, openSync, readFileSync, statSync, type BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { systemCode } from '../../adapters/contract/index.ts'
import { judgeFile, type Exposure, type Holds } from './file-modes.ts'

/** How a file that a configuration is made from is read. Throws the system's error, or FileUntrusted. */
export type ReadFile = (path: string, holds?: Holds) => Buffer

/** Reads a file from the disk, unless every user can change it. What is judged is the file that is read. */
export const readTrusted: ReadFile = (path, holds) => readJudged(path, holds).bytes

function readJudged(path: string, holds: Holds = 'trust'): { bytes: Buffer; exposures: readonly Exposure[] } {
  const file = openSync(path, 'r')
  try {
    return { bytes: readFileSync(file), exposures: judgeFile(path, fstatSync(file), holds) }
  } finally {
    closeSync(file)
  }
}

/** The bytes of every file that a configuration was made from, by path. */
export type FileContents = ReadonlyMap<string, Uint8Array>

/** Reads what was read before, elsewhere: another process gets the same configuration, whatever the disk says by now. */
export const readFrom =
  (contents: FileContents): ReadFile =>
  (path) => {
    const bytes = contents.get(path)
    if (bytes === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    return Buffer.from(bytes)
  }

/** What tells that a file is no longer the one that was read, or why there was none. */
type Stamp = string

/** Reads files from the disk, and remembers which and how they were. */
export class FileRecorder {
  readonly contents = new Map<string, Uint8Array>()
  readonly #stamps = new Map<string, Stamp>()
  readonly #exposures = new Map<string, Exposure>()

  readonly read: ReadFile = (path, holds) => {
    // The stamp is taken first: a file that changes in between looks changed, and is read again.
    this.#stamps.set(path, stampNow(path))
    const { bytes, exposures } = readJudged(path, holds)
    this.contents.set(path, bytes)
    for (const exposure of exposures) this.#exposures.set(exposure.remedy, exposure)
    return bytes
  }

  /** What others can get at of the files that were read, each once. */
  get exposures(): Exposure[] {
    return [...this.#exposures.values()]
  }

  /** Whether `other` found every file as this one did. */
  found(other: FileStamps): boolean {
    return sameStamps(this.#stamps, other)
  }

  /** How the files that were read, or could not be, are now. */
  async look(): Promise<FileStamps> {
    const paths = [...this.#stamps.keys()]
    const stamps = await Promise.all(paths.map(stampOf))
    return new Map(paths.map((path, index) => [path, stamps[index] ?? '']))
  }
}

export type FileStamps = ReadonlyMap<string, Stamp>

export function sameStamps(one: FileStamps, other: FileStamps): boolean {
  for (const [path, stamp] of one) if (other.get(path) !== stamp) return false
  return one.size === other.size
}

function stampNow(path: string): Stamp {
  try {
    return format(statSync(path, { bigint: true }))
  } catch (error) {
    return systemCode(error)
  }
}

/** Follows symbolic links, as reading does: Kubernetes changes the files of a volume by swapping one. */
const stampOf = (path: string): Promise<Stamp> => stat(path, { bigint: true }).then(format, systemCode)

const format = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): Stamp => [dev, ino, size, mtimeNs, ctimeNs].join()
