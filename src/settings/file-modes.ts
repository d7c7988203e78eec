import { readlinkSync, statSync, type Stats } from 'node:fs'
import { dirname, isAbsolute, join, parse, resolve, sep } from 'node:path'
import { OperatorError } from '../../adapters/contract/index.ts'

const GROUP_WRITES = 0o020
const OTHERS_READ = 0o004
const OTHERS_WRITE = 0o002
/** In a directory with this bit, only a file's owner can replace it. */
const STICKY = 0o1000
const MODE_BITS = 0o7777
/** Linux follows the same number of symbolic links. */
const MAX_LINKS = 40

/** What a file holds. Others must not read a secret, and must not write what is trusted. */
export type Holds = 'secret' | 'trust'

/** A file, or a directory on its path, that other users can read or change. */
export interface Exposure {
  readonly path: string
  readonly mode: string
  readonly who: 'group' | 'others'
  readonly may: 'read' | 'write'
  /** A command that ends the exposure. No two exposures have the same one. */
  readonly remedy: string
}

/** Every user can change or replace the file. Whoever does so decides what the gateway trusts. */
export class FileUntrusted extends OperatorError {
  constructor(why: string) {
    super('FILE_UNTRUSTED', why)
  }
}

/**
 * Judges a file by the `stats` of the open file and by the directories that lead to it.
 * @returns exposures that do not refuse the file
 * @throws FileUntrusted
 */
export function judgeFile(path: string, stats: Stats, holds: Holds): Exposure[] {
  // Modes mean nothing on Windows, nor on a terminal or /dev/null.
  if (process.platform === 'win32' || stats.isCharacterDevice()) return []
  const { mode } = stats
  if ((mode & OTHERS_WRITE) !== 0) {
    throw new FileUntrusted(`every user can change (mode ${modeText(mode)}): run chmod o-w ${path}`)
  }
  const directories = openDirectories(path)
  const replaceable = directories.find(({ isVolume }) => !isVolume)
  if (replaceable !== undefined) {
    const where = `the directory ${replaceable.path} (mode ${replaceable.mode})`
    throw new FileUntrusted(`every user can replace, because of ${where}: run ${replaceable.remedy}`)
  }
  const readable = holds === 'secret' && (mode & OTHERS_READ) !== 0
  const writable = (mode & GROUP_WRITES) !== 0
  return [
    ...(readable ? [exposure(path, mode, 'others', 'read')] : []),
    ...(writable ? [exposure(path, mode, 'group', 'write')] : []),
    ...directories,
  ]
}

/** A directory in which every user can replace a file. */
export interface OpenDirectory extends Exposure {
  /** Kubernetes mounts an emptyDir with mode 0777, and a container that does not run as root cannot change that. */
  readonly isVolume: boolean
}

/** The open directories on the path of a file, each once. */
export function openDirectories(path: string): OpenDirectory[] {
  if (process.platform === 'win32') return []
  return directoriesTo(path).flatMap((directory) => {
    const stats = statSync(directory, { throwIfNoEntry: false })
    if (stats === undefined || (stats.mode & OTHERS_WRITE) === 0 || (stats.mode & STICKY) !== 0) return []
    return [{ ...exposure(directory, stats.mode, 'others', 'write'), isVolume: isMountPoint(directory, stats) }]
  })
}

const exposure = (path: string, mode: number, who: Exposure['who'], may: Exposure['may']): Exposure => {
  const remedy = `chmod ${who === 'group' ? 'g' : 'o'}-${may === 'read' ? 'r' : 'w'} ${path}`
  return { path, mode: modeText(mode), who, may, remedy }
}

const isMountPoint = (directory: string, { dev }: Stats): boolean => statSync(dirname(directory)).dev !== dev

/** Every directory that the system reads on the way to a file, also through symbolic links. */
function directoriesTo(path: string): string[] {
  const { root } = parse(resolve(path))
  const rest = stepsOf(resolve(path).slice(root.length))
  const found = new Set<string>()
  let at = root
  let links = 0
  for (let step = rest.shift(); step !== undefined; step = rest.shift()) {
    found.add(at)
    const next = join(at, step)
    const target = linkTarget(next)
    if (target === undefined) at = next
    else if (++links > MAX_LINKS) break
    else {
      rest.unshift(...stepsOf(target))
      if (isAbsolute(target)) at = root
    }
  }
  return [...found]
}

const stepsOf = (path: string): string[] => path.split(sep).filter((step) => step !== '')

/** Undefined if it is not a symbolic link. */
function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

const modeText = (mode: number): string => (mode & MODE_BITS).toString(8).padStart(4, '0')
