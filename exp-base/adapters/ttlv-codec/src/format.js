/** Bytes or characters shown of one revealed value. */
const SHOWN = 64;
const HIDDEN = '(hidden)';
/**
 * A tree as text for a person, one item a line, indented by level. Not a format to parse. A value that may not be
 * printed shows as `(hidden)`, of a Byte String with its size in bytes, of a Text String without even that.
 */
export function format(item, options = {}) {
    const lines = [];
    print(item, [], options, lines);
    return lines.join('\n');
}
function print(item, parents, options, lines) {
    const path = [...parents, item.tag];
    const name = options.name?.(item.tag);
    const label = item.tag.toString(16).toUpperCase() + (name === undefined ? '' : ` ${name}`);
    const revealed = () => options.reveal?.(path) === true;
    lines.push(`${'  '.repeat(parents.length)}${label} ${item.type} ${valueText(item, revealed)}`.trimEnd());
    if (item.type === 'Structure')
        for (const child of item.value)
            print(child, path, options, lines);
}
function valueText(item, revealed) {
    switch (item.type) {
        case 'Structure':
            return '';
        case 'Integer':
        case 'LongInteger':
        case 'Boolean':
            return String(item.value);
        case 'Enumeration':
            return `0x${item.value.toString(16).toUpperCase().padStart(8, '0')}`;
        case 'Interval':
            return `${item.value} s`;
        case 'DateTime':
            return dateText(item.value, item.value * 1000n);
        case 'DateTimeExtended':
            return dateText(item.value, item.value / 1000n);
        case 'TextString':
            return revealed() ? quoted(item.value) : HIDDEN;
        case 'BigInteger':
            return revealed() ? item.value.toString(16) : HIDDEN;
        case 'ByteString': {
            const size = `${item.value.length} bytes`;
            return revealed() ? `${size} ${hexText(item.value)}`.trimEnd() : `${size} ${HIDDEN}`;
        }
    }
}
const LATEST_DATE_MS = 8640000000000000n;
function dateText(value, milliseconds) {
    const isDate = milliseconds >= -LATEST_DATE_MS && milliseconds <= LATEST_DATE_MS;
    return isDate ? `${value} (${new Date(Number(milliseconds)).toISOString()})` : String(value);
}
/** Printable ASCII only: what came from outside must not move a terminal's cursor or turn the writing round. */
function quoted(text) {
    const shown = JSON.stringify(text.slice(0, SHOWN)).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
    return text.length > SHOWN ? `${shown}…` : shown;
}
function hexText(bytes) {
    const shown = Array.from(bytes.subarray(0, SHOWN), (byte) => byte.toString(16).padStart(2, '0')).join('');
    return bytes.length > SHOWN ? `${shown}…` : shown;
}
