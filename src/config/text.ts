import { dirname, resolve } from 'node:path'
import { isMap, isNode, isPair, isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml'
import { systemCode } from '../../adapters/contract/index.ts'
import { FileUntrusted } from '../settings/file-modes.ts'
import type { ReadFile } from '../settings/files.ts'
import { decodeText } from '../settings/text-file.ts'
import type { Problem, SettingPath } from './problem.ts'

/** A key of a mapping as it was written. */
const nameOf = (key: unknown): unknown => {
  if (!isScalar(key)) return key
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))
}

/** The parsed text of a configuration file, which finds the line of each setting. */
export class ConfigText {
  readonly file: string
  /** Relative paths in the file start from this directory. */
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

  /**
   * Reads `file`.
   * @returns the text, or the problems that prevent reading it
   */
  static read(file: string, read: ReadFile): ConfigText | readonly Problem[] {
    let text: string
    try {
      text = decodeText(read(file))
    } catch (error) {
      const message =
        error instanceof FileUntrusted ? `is a file that ${error.message}` : `cannot be read (${systemCode(error)})`
      return [{ where: file, path: '', message }]
    }
    const lines = new LineCounter()
    // No pretty errors: they quote the file, which may contain a secret by mistake.
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      logLevel: 'error',
      uniqueKeys: (one, other) => nameOf(one) === nameOf(other),
    })
    if (document.errors.length > 0) {
      return document.errors.map((error) => ({
        where: file,
        line: lines.linePos(error.pos[0]).line,
        path: '',
        message: `is not valid YAML: ${error.code.toLowerCase().replaceAll('_', ' ')}`,
      }))
    }
    // A name is what was written, and not the number that YAML takes it for: 0123 would become 123, and 1e3 1000.
    visit(document, { Pair: (_, { key }) => void (isScalar(key) && (key.value = nameOf(key))) })
    try {
      return new ConfigText(file, document, lines)
    } catch {
      return [
        { where: file, path: '', message: 'is not valid YAML: an alias has no anchor, or there are too many aliases' },
      ]
    }
  }

  /** The line of the setting, or of the nearest enclosing setting that exists. */
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
