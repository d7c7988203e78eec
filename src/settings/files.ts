import { closeSync, fstatSync, openSync, readFileSync, statSync, type BigIntStats, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { systemCode } from '../../adapters/contract/index.ts'
import { judgeFile, type Exposure, type Holds } from './file-modes.ts'

/** The largest file: far more than certificates, and the revocation lists of large CAs, need. */
const MAX_BYTES = 64 * 1024 * 1024

/** Reads a file of the configuration. Throws the system's error or FileUntrusted. */
export type ReadFile = (path: string, holds?: Holds) => Buffer

/** Reads a file from the disk, unless every user can change it. The file that is judged is the one that is read. */
export const readTrusted: ReadFile = (path, holds) => readJudged(path, holds).bytes

function readJudged(path: string, holds: Holds = 'trust'): { bytes: Buffer; exposures: readonly Exposure[] } {
  const { bytes, stats } = readBounded(path)
  return { bytes, exposures: judgeFile(path, stats, holds) }
}

/** Reads a file that an operator named. A device, or one that is larger than any such file, could fill the memory. */
export function readBounded(path: string): { readonly bytes: Buffer; readonly stats: Stats } {
  const file = openSync(path, 'r')
  try {
    const stats = fstatSync(file)
    if (stats.isCharacterDevice()) throw failure('ENODEV')
    if (stats.size > MAX_BYTES) throw failure('EFBIG')
    return { bytes: readFileSync(file), stats }
  } finally {
    closeSync(file)
  }
}

/** An error like the system's own. */
const failure = (code: string): Error => Object.assign(new Error(code), { code })

/** The bytes of every file that a configuration was made from, by path. */
export type FileContents = ReadonlyMap<string, Uint8Array>

/**
 * Reads what another process has read before, so that both get the same configuration, whatever the disk contains now.
 */
export const readFrom =
  (contents: FileContents): ReadFile =>
  (path) => {
    const bytes = contents.get(path)
    if (bytes === undefined) throw failure('ENOENT')
    return Buffer.from(bytes)
  }

/** A text that changes when the file is no longer the one that was read. It also stands for a missing file. */
type Stamp = string

/** Reads files from the disk, and remembers which files and their stamps. */
export class FileRecorder {
  readonly contents = new Map<string, Uint8Array>()
  readonly #stamps = new Map<string, Stamp>()
  readonly #exposures = new Map<string, Exposure>()

  readonly read: ReadFile = (path, holds) => {
    // The stamp is taken first: a file that changes in between then looks changed and is read again.
    this.#stamps.set(path, stampNow(path))
    const { bytes, exposures } = readJudged(path, holds)
    this.contents.set(path, bytes)
    for (const exposure of exposures) this.#exposures.set(exposure.remedy, exposure)
    return bytes
  }

  /** What others can read or change among the files that were read, each once. */
  get exposures(): Exposure[] {
    return [...this.#exposures.values()]
  }

  /** Whether `other` found every file unchanged. */
  found(other: FileStamps): boolean {
    return sameStamps(this.#stamps, other)
  }

  /** The present stamps of the files that were read or could not be read. */
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

/** Follows symbolic links, as reading does: Kubernetes changes a volume's files by swapping a link. */
const stampOf = (path: string): Promise<Stamp> => stat(path, { bigint: true }).then(format, systemCode)

const format = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): Stamp => [dev, ino, size, mtimeNs, ctimeNs].join()
