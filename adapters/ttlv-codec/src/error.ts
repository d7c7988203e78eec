/**
 * What is wrong with the bytes, or with the tree. The code is stable and is all that anybody branches on.
 *
 * | code | meaning | `offset` points at |
 * |---|---|---|
 * | `TRUNCATED` | the bytes end inside an item | the end of the bytes |
 * | `TRAILING` | there are bytes after the item | the first of them |
 * | `TAG_INVALID` | a tag whose first byte is neither 42 nor 54 | the item |
 * | `TYPE_INVALID` | a type that does not exist, or a frame that is not a Structure | the type byte |
 * | `LENGTH_INVALID` | a length that the type cannot have | the length field |
 * | `CHILD_OVERRUN` | a child that ends after its Structure | the child's length field, or the child if its header is cut off |
 * | `PADDING_INVALID` | padding that is not zero | the first such byte |
 * | `BOOLEAN_INVALID` | a Boolean that is neither 0 nor 1 | the value |
 * | `TEXT_INVALID` | text that is not UTF-8, or is null-terminated | the value |
 * | `TOO_LARGE` | more bytes than {@link Limits.maxBytes} | the length field (frame), the first byte too many (`decode`), the item (`encode`) |
 * | `TOO_DEEP` | more levels than {@link Limits.maxDepth} | the item that is too deep |
 * | `TOO_MANY_ITEMS` | more items than {@link Limits.maxItems} | the item that is too much |
 * | `VALUE_INVALID` | only from `encode`: a value that its type cannot hold | where the item would begin |
 */
export type TtlvErrorCode =
  | 'TRUNCATED'
  | 'TRAILING'
  | 'TAG_INVALID'
  | 'TYPE_INVALID'
  | 'LENGTH_INVALID'
  | 'CHILD_OVERRUN'
  | 'PADDING_INVALID'
  | 'BOOLEAN_INVALID'
  | 'TEXT_INVALID'
  | 'TOO_LARGE'
  | 'TOO_DEEP'
  | 'TOO_MANY_ITEMS'
  | 'VALUE_INVALID'

/**
 * The only error for input from outside. `message` is for a person. Neither it nor the other fields contain any part of
 * a value.
 */
export class TtlvError extends Error {
  override readonly name = 'TtlvError'
  readonly code: TtlvErrorCode
  /**
   * Byte offset from the start of the input of `decode`, or of the output that `encode` would have written. For a
   * {@link FrameReader}, from the start of the stream.
   */
  readonly offset: number

  constructor(code: TtlvErrorCode, offset: number, message: string) {
    super(`${message} (at byte ${offset})`)
    this.code = code
    this.offset = offset
  }
}
