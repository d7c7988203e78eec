import { describe, expect, it } from 'vitest'
import { byteString, encode, FrameReader, structure } from '../src/index.ts'
import { failureOf } from './failure.ts'
import { goldenExchanges } from './golden.ts'
import { concat, hex, patched } from './hex.ts'

const messages = goldenExchanges.flatMap(({ request, response }) => [request, response])

function reader(maxBytes?: number) {
  const frames: Uint8Array[] = []
  return { frames, reader: new FrameReader((frame) => frames.push(frame), maxBytes === undefined ? {} : { maxBytes }) }
}

describe('a frame reader', () => {
  it.each([1, 2, 3, 7, 8, 9, 100, 4096, 1_000_000])('finds the same messages in pieces of %i bytes', (size) => {
    const stream = concat(...messages)
    const { frames, reader: under } = reader()
    for (let at = 0; at < stream.length; at += size) under.push(stream.subarray(at, at + size))
    under.end()
    expect(frames).toEqual(messages)
    expect(under.pending).toBe(0)
  })

  it('takes empty pieces, and a message without children', () => {
    const { frames, reader: under } = reader()
    under.push(new Uint8Array(0))
    under.push(hex('42 00 78 | 01 | 00 00 00 00'))
    under.push(new Uint8Array(0))
    under.end()
    expect(frames).toEqual([hex('42 00 78 | 01 | 00 00 00 00')])
  })

  it('keeps no reference to a piece', () => {
    const [message = new Uint8Array(0)] = messages
    const { frames, reader: under } = reader()
    const first = message.slice(0, 50)
    const second = message.slice(50)
    under.push(first)
    first.fill(0xee)
    under.push(second)
    second.fill(0xee)
    expect(frames).toEqual([message])
  })

  it('hands over buffers that share nothing', () => {
    const [message = new Uint8Array(0)] = messages
    const { frames, reader: under } = reader()
    under.push(concat(message, message))
    frames[0]?.fill(0)
    expect(frames[1]).toEqual(message)
  })

  const good = encode(structure(0x420078, [byteString(0x4200c2, new Uint8Array(16))]))

  it.each([
    { what: 'a tag that is none', bytes: patched(good, 0, 0x47), code: 'TAG_INVALID', at: 0 },
    { what: 'the answer of a web server', bytes: hex('48 54 54 50 2F 31 2E 31'), code: 'TAG_INVALID', at: 0 },
    { what: 'a message that is an Integer', bytes: patched(good, 3, 2), code: 'TYPE_INVALID', at: 3 },
    { what: 'a message that is of no type', bytes: patched(good, 3, 0), code: 'TYPE_INVALID', at: 3 },
    { what: 'a length that no Structure has', bytes: patched(good, 7, 4), code: 'LENGTH_INVALID', at: 4 },
    { what: 'a length beyond the limit', bytes: patched(good, 4, 0, 0x10), code: 'TOO_LARGE', at: 4 },
    { what: 'the largest length', bytes: patched(good, 4, 0xff, 0xff, 0xff, 0xf8), code: 'TOO_LARGE', at: 4 },
  ])('refuses $what at the header, after the messages before it, and stays closed', ({ bytes, code, at }) => {
    const { frames, reader: under } = reader()
    const expected = { code, offset: good.length + at }
    // Only the header is sent: the reader must not wait for the body.
    expect(failureOf(() => under.push(concat(good, bytes.subarray(0, 8))))).toEqual(expected)
    expect(frames).toEqual([good])
    expect(under.pending).toBe(0)
    for (const again of [() => under.push(good), () => under.push(new Uint8Array(0)), () => under.end()]) {
      expect(failureOf(again)).toEqual(expected)
    }
    expect(frames).toEqual([good])
  })

  it('takes a message of exactly the limit', () => {
    const { frames, reader: under } = reader(good.length)
    under.push(good)
    expect(frames).toEqual([good])
    expect(failureOf(() => reader(good.length - 1).reader.push(good))).toEqual({ code: 'TOO_LARGE', offset: 4 })
  })

  it.each([1, 7, 8, 9, good.length - 1])('notices an end after %i bytes of a message', (bytes) => {
    const { reader: under } = reader()
    under.push(good)
    under.push(good.subarray(0, bytes))
    expect(under.pending).toBe(bytes)
    expect(failureOf(() => under.end())).toEqual({ code: 'TRUNCATED', offset: good.length + bytes })
  })

  it('accepts no bytes after it was discarded', () => {
    const { frames, reader: under } = reader()
    under.push(good.subarray(0, 20))
    under.discard()
    expect(under.pending).toBe(0)
    expect(failureOf(() => under.push(good.subarray(20))).code).toBe('TRUNCATED')
    expect(frames).toEqual([])
  })

  it('claims no memory for bytes that have not come', () => {
    const before = process.memoryUsage().arrayBuffers
    const readers = Array.from({ length: 200 }, () => reader().reader)
    for (const each of readers) each.push(hex('42 00 78 | 01 | 00 0F FF F8 | 42'))
    const grown = process.memoryUsage().arrayBuffers - before
    expect(readers.map(({ pending }) => pending)).toEqual(readers.map(() => 9))
    expect(grown).toBeLessThan(10_000_000)
  })
})
