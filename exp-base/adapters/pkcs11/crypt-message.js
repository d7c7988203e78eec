import { directions, paths, schemes } from "./way.js";
// path u8 | direction u8 | scheme u8 | mechanism u32 | selector length u16 | selector | data
const FIXED_BYTES = 9;
export function encodeCrypt({ way, direction, selector, data }) {
    const selectorBytes = Buffer.byteLength(selector);
    const bytes = Buffer.allocUnsafeSlow(FIXED_BYTES + selectorBytes + data.length);
    bytes.writeUInt8(paths.indexOf(way.path), 0);
    bytes.writeUInt8(directions.indexOf(direction), 1);
    bytes.writeUInt8(schemes.indexOf(way.scheme), 2);
    bytes.writeUInt32LE(way.mechanism, 3);
    bytes.writeUInt16LE(selectorBytes, 7);
    bytes.write(selector, FIXED_BYTES);
    bytes.set(data, FIXED_BYTES + selectorBytes);
    return bytes;
}
/** The data of the result is a copy, and the caller's to zero. */
export function decodeCrypt(payload) {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const path = paths[bytes.readUInt8(0)];
    const direction = directions[bytes.readUInt8(1)];
    const scheme = schemes[bytes.readUInt8(2)];
    if (path === undefined || direction === undefined || scheme === undefined)
        throw new RangeError('malformed message');
    const dataStart = FIXED_BYTES + bytes.readUInt16LE(7);
    return {
        way: { path, mechanism: bytes.readUInt32LE(3), scheme },
        direction,
        selector: bytes.toString('utf8', FIXED_BYTES, dataStart),
        data: Uint8Array.prototype.slice.call(bytes, dataStart),
    };
}
