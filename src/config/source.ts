import { dirname, resolve } from 'node:path'
import { isMap, isNode, isPair, isScalar, LineCounter, parseDocument, type Document } from 'yaml'
import { systemCode } from '../../adapters/contract/index.ts'
import { FileUntrusted } from '../settings/file-modes.ts'
import type { ReadFile } from '../settings/files.ts'

/** One thing wrong with a configuration, and where. */
export interface Problem {
  /** The file's path as the operator gave it, or the name of an environment variable. */
  readonly source: string
  /** Absent for an environment variable, and where the whole file is meant. */
  readonly line?: number
  /** Dotted path of the setting, e.g. `pools[0].backend`; empty for the whole file. */
  readonly path: string
  /** What is wrong and what is allowed; never the value itself, which may be a secret in the wrong place. */
  readonly message: string
}

export type SettingPath = readonly (string | number)[]

export const formatPath = (path: SettingPath): string =>
  path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? key : `.${key}`)).join('')

/** A configuration file's text, parsed, with a way back from each setting to its line. */
export class ConfigSource {
  readonly file: string
  /** Paths in the file are relative to this directory. */
  readonly directory: string
  /** The settings as plain data. */
  readonly data: unknown
  readonly #document: Document
  readonly #lines: LineCounter

  private constructor(file: string, document: Document, lines: LineCounter) {
    this.file = file
    this.directory = dirname(resolve(file))
    this.data = document.toJS()
    this.#document = document
    this.#lines = lines
  }

  /** Reads `file`; what keeps it from being read at all is returned as problems. */
  static read(file: string, read: ReadFile): ConfigSource | readonly Problem[] {
    let text: string
    try {
      text = read(file).toString('utf8')
    } catch (error) {
      const message =
        error instanceof FileUntrusted ? `is a file that ${error.message}` : `cannot be read (${systemCode(error)})`
      return [{ source: file, path: '', message }]
    }
    const lines = new LineCounter()
    // No pretty errors: they quote the file, and a secret may stand in it by mistake.
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      logLevel: 'error',
      uniqueKeys: true,
    })
    if (document.errors.length > 0) {
      return document.errors.map((error) => ({
        source: file,
        line: lines.linePos(error.pos[0]).line,
        path: '',
        message: `is not valid YAML: ${error.code.toLowerCase().replaceAll('_', ' ')}`,
      }))
    }
    try {
      return new ConfigSource(file, document, lines)
    } catch {
      return [{ source: file, path: '', message: 'is not valid YAML: an alias has no anchor, or there are too many' }]
    }
  }

  /** The line of the setting, or of the nearest one around it that is there. */
  lineOf(path: SettingPath): number {
    for (let length = path.length; length > 0; length -= 1) {
      const offset = this.#offsetOf(path.slice(0, length))
      if (offset !== undefined) return this.#lines.linePos(offset).line
    }
    return 1
  }

  #offsetOf(path: SettingPath): number | undefined {
    const parent = this.#document.getIn(path.slice(0, -1), true)
    const key = path.at(-1)
    if (isMap(parent)) {
      const pair = parent.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(key),
      )
      return isNode(pair?.key) ? pair.key.range?.[0] : undefined
    }
    const node = this.#document.getIn(path, true)
    return isNode(node) ? node.range?.[0] : undefined
  }
}
