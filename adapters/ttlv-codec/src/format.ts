import type { Item } from './item.ts'

export interface FormatOptions {
  /** A name for a tag, printed behind its number. By default there is none. */
  readonly name?: (tag: number) => string | undefined
  /**
   * Whether to print the value of a Text String, Byte String or Big Integer. `path` has the tags from the outermost
   * item to this one. By default none is printed: keys and passwords are values of these three types, and this package
   * does not know what a tag means. The caller has to say which values are harmless.
   */
  readonly reveal?: (path: readonly number[]) => boolean
}

/** The most bytes or characters to print of one revealed value. */
const SHOWN = 64
const HIDDEN = '(hidden)'

/**
 * Formats a tree as text for a person: one item a line, indented by level. It is not a format to parse. A value that
 * may not be printed shows as `(hidden)`. A hidden Byte String shows its size in bytes, a hidden Text String does not.
 */
export function format(item: Item, options: FormatOptions = {}): string {
  const lines: string[] = []
  print(item, [], options, lines)
  return lines.join('\n')
}

function print(item: Item, parents: readonly number[], options: FormatOptions, lines: string[]): void {
  const path = [...parents, item.tag]
  const name = options.name?.(item.tag)
  const label = item.tag.toString(16).toUpperCase() + (name === undefined ? '' : ` ${name}`)
  const revealed = () => options.reveal?.(path) === true
  lines.push(`${'  '.repeat(parents.length)}${label} ${item.type} ${valueText(item, revealed)}`.trimEnd())
  if (item.type === 'Structure') for (const child of item.value) print(child, path, options, lines)
}

function valueText(item: Item, revealed: () => boolean): string {
  switch (item.type) {
    case 'Structure':
      return ''
    case 'Integer':
    case 'LongInteger':
    case 'Boolean':
      return String(item.value)
    case 'Enumeration':
      return `0x${item.value.toString(16).toUpperCase().padStart(8, '0')}`
    case 'Interval':
      return `${item.value} s`
    case 'DateTime':
      return dateText(item.value, item.value * 1000n)
    case 'DateTimeExtended':
      return dateText(item.value, item.value / 1000n)
    case 'TextString':
      return revealed() ? quoted(item.value) : HIDDEN
    case 'BigInteger':
      return revealed() ? item.value.toString(16) : HIDDEN
    case 'ByteString': {
      const size = `${item.value.length} bytes`
      return revealed() ? `${size} ${hexText(item.value)}`.trimEnd() : `${size} ${HIDDEN}`
    }
  }
}

const LATEST_DATE_MS = 8_640_000_000_000_000n

function dateText(value: bigint, milliseconds: bigint): string {
  const isDate = milliseconds >= -LATEST_DATE_MS && milliseconds <= LATEST_DATE_MS
  return isDate ? `${value} (${new Date(Number(milliseconds)).toISOString()})` : String(value)
}

/**
 * Printable ASCII only, so that input from outside cannot move a terminal's cursor or reverse the writing direction.
 */
function quoted(text: string): string {
  const shown = JSON.stringify(text.slice(0, SHOWN)).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return text.length > SHOWN ? `${shown}…` : shown
}

function hexText(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, SHOWN), (byte) => byte.toString(16).padStart(2, '0')).join('')
  return bytes.length > SHOWN ? `${shown}…` : shown
}
