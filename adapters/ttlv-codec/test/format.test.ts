import { describe, expect, it } from 'vitest'
import {
  bigInteger,
  boolean,
  byteString,
  dateTime,
  dateTimeExtended,
  decode,
  enumeration,
  format,
  integer,
  interval,
  longInteger,
  structure,
  textString,
} from '../src/index.ts'
import { golden } from './golden.ts'
import { hex } from './hex.ts'

const everyType = structure(0x420078, [
  integer(0x420001, -8),
  longInteger(0x420002, 2n ** 40n),
  bigInteger(0x420003, 0xc0ffeen),
  enumeration(0x420004, 0x8000000d),
  boolean(0x420005, true),
  textString(0x420006, 'hunter2'),
  byteString(0x420007, hex('c0 ff ee')),
  dateTime(0x420009, 1_205_495_800n),
  dateTime(0x420009, 2n ** 62n),
  interval(0x42000a, 10),
  dateTimeExtended(0x42000b, 1_205_495_800_000_001n),
  structure(0x54abcd, [structure(0x420043, [])]),
])

describe('format', () => {
  it('hides every value that could be a secret, unless the caller allows it', () => {
    expect(format(everyType)).toBe(
      [
        '420078 Structure',
        '  420001 Integer -8',
        '  420002 LongInteger 1099511627776',
        '  420003 BigInteger (hidden)',
        '  420004 Enumeration 0x8000000D',
        '  420005 Boolean true',
        '  420006 TextString (hidden)',
        '  420007 ByteString 3 bytes (hidden)',
        '  420009 DateTime 1205495800 (2008-03-14T11:56:40.000Z)',
        '  420009 DateTime 4611686018427387904',
        '  42000A Interval 10 s',
        '  42000B DateTimeExtended 1205495800000001 (2008-03-14T11:56:40.000Z)',
        '  54ABCD Structure',
        '    420043 Structure',
      ].join('\n'),
    )
  })

  it('prints values that the caller calls harmless', () => {
    const lines = format(everyType, { reveal: (path) => path.at(-1) !== 0x420006 }).split('\n')
    expect(lines[3]).toBe('  420003 BigInteger c0ffee')
    expect(lines[6]).toBe('  420006 TextString (hidden)')
    expect(lines[7]).toBe('  420007 ByteString 3 bytes c0ffee')
  })

  it('asks the caller once for each value, with the whole path', () => {
    const asked: string[] = []
    const key = structure(0x42008f, [
      structure(0x420045, [byteString(0x420043, hex('c0ffee')), integer(0x42002a, 256)]),
    ])
    format(key, { reveal: (path) => asked.push(path.map((tag) => tag.toString(16)).join('/')) < 0 })
    expect(asked).toEqual(['42008f/420045/420043'])
  })

  it('names tags', () => {
    const names = new Map([[0x420078, 'Request Message']])
    expect(
      format(everyType, { name: (tag) => names.get(tag) })
        .split('\n')
        .slice(0, 2),
    ).toEqual(['420078 Request Message Structure', '  420001 Integer -8'])
  })

  it('prints no key of a real exchange', () => {
    const text = format(decode(golden('Get 1.4 symmetric key').response))
    expect(text).toContain('420043 ByteString 32 bytes (hidden)')
    expect(text).not.toContain('0102030405')
  })

  it('escapes what a terminal would obey, and cuts long values', () => {
    const reveal = () => true
    expect(format(textString(0x420020, 'a\x1b[2J\u009b\u202e"\n'), { reveal })).toBe(
      String.raw`420020 TextString "a\u001b[2J\u009b\u202e\"\n"`,
    )
    expect(format(textString(0x420020, 'x'.repeat(65)), { reveal })).toBe(`420020 TextString "${'x'.repeat(64)}"…`)
    expect(format(byteString(0x420020, new Uint8Array(65)), { reveal })).toBe(
      `420020 ByteString 65 bytes ${'00'.repeat(64)}…`,
    )
    expect(format(byteString(0x420020, new Uint8Array(0)), { reveal })).toBe('420020 ByteString 0 bytes')
  })
})
