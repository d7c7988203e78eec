export { decode } from './decode.ts'
export { encode } from './encode.ts'
export { TtlvError, type TtlvErrorCode } from './error.ts'
export { format, type FormatOptions } from './format.ts'
export { FrameReader } from './frame-reader.ts'
export {
  bigInteger,
  boolean,
  byteString,
  child,
  dateTime,
  dateTimeExtended,
  enumeration,
  integer,
  interval,
  longInteger,
  structure,
  textString,
  type Item,
  type ItemOf,
  type ItemType,
  type ItemValue,
} from './item.ts'
export { defaultLimits, type Limits } from './limits.ts'
