export { decode } from "./decode.js";
export { encode } from "./encode.js";
export { TtlvError } from "./error.js";
export { format } from "./format.js";
export { FrameReader } from "./frame-reader.js";
export { bigInteger, boolean, byteString, child, dateTime, dateTimeExtended, enumeration, integer, interval, longInteger, structure, textString, } from "./item.js";
export { defaultLimits } from "./limits.js";
