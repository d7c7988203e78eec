import { asBuffer, wipeable, wipeableCopy } from '../../contract/index.ts'
import { directions, paths, schemes, type Direction, type Way } from '../cryptoki/way.ts'

/** One wrap or unwrap as it is sent to a host. */
export interface CryptMessage {
  readonly way: Way
  readonly direction: Direction
  /** A key selector as `encodeSelector` returned it. */
  readonly selector: string
  /** The value; after the first slice of a host-run key wrap, its registers. */
  readonly data: Uint8Array
  /** How many block calls of a host-run key wrap have been made. */
  readonly step: number
  /** Milliseconds that a host-run key wrap may occupy the host. An unfinished one is returned as it is. */
  readonly sliceMs: number
}

// path u8 | direction u8 | scheme u8 | mechanism u32 | selector length u16 | step u32 | slice u8 | selector | data
const FIXED_BYTES = 14

/** The caller zeroes the result. */
export function encodeCrypt({ way, direction, selector, data, step, sliceMs }: CryptMessage): Uint8Array {
  const selectorBytes = Buffer.byteLength(selector)
  const bytes = asBuffer(wipeable(FIXED_BYTES + selectorBytes + data.length))
  bytes.writeUInt8(paths.indexOf(way.path), 0)
  bytes.writeUInt8(directions.indexOf(direction), 1)
  bytes.writeUInt8(schemes.indexOf(way.scheme), 2)
  bytes.writeUInt32LE(way.mechanism, 3)
  bytes.writeUInt16LE(selectorBytes, 7)
  bytes.writeUInt32LE(step, 9)
  bytes.writeUInt8(sliceMs, 13)
  bytes.write(selector, FIXED_BYTES)
  bytes.set(data, FIXED_BYTES + selectorBytes)
  return bytes
}

/** The data of the result is a copy that the caller zeroes. */
export function decodeCrypt(payload: Uint8Array): CryptMessage {
  const bytes = asBuffer(payload)
  const path = paths[bytes.readUInt8(0)]
  const direction = directions[bytes.readUInt8(1)]
  const scheme = schemes[bytes.readUInt8(2)]
  if (path === undefined || direction === undefined || scheme === undefined) throw new RangeError('malformed message')
  const dataStart = FIXED_BYTES + bytes.readUInt16LE(7)
  return {
    way: { path, mechanism: bytes.readUInt32LE(3), scheme },
    direction,
    selector: bytes.toString('utf8', FIXED_BYTES, dataStart),
    data: wipeableCopy(bytes.subarray(dataStart)),
    step: bytes.readUInt32LE(9),
    sliceMs: bytes.readUInt8(13),
  }
}
