import { wipeable, wipeableCopy } from '../contract/index.ts'

/** `KW` is RFC 3394 (SP 800-38F AES-KW), `KWP` is RFC 5649 (SP 800-38F AES-KWP). */
export type KeyWrapMode = 'KW' | 'KWP'

/**
 * One direction of AES in ECB mode under the key-encryption key, wherever that key lives: takes any number of 16-byte
 * blocks and answers as many, each computed on its own. The result may share no memory with the argument.
 */
export type BlockFunction = (blocks: Uint8Array) => Uint8Array | Promise<Uint8Array>

const SEMIBLOCK = 8
const BLOCK = 2 * SEMIBLOCK
const ROUNDS = 6
/** RFC 3394 §2.2.3.1 and RFC 5649 §3. */
const KW_INITIAL_VALUE = Uint8Array.of(0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6)
const KWP_CONSTANT = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6)

/** The register A and the semiblocks R of one value: `bytes` is A | R[1] | … | R[n]. */
interface Registers {
  readonly bytes: Uint8Array
  readonly n: number
}

/** Block calls made for one value of `wrappedBytes`: 6 for every semiblock but the first, or one for a single block. */
export const blockCalls = (wrappedBytes: number): number =>
  wrappedBytes === BLOCK ? 1 : ROUNDS * (wrappedBytes / SEMIBLOCK - 1)

/**
 * Wraps several values under one key. Their steps go in lockstep, so that `encrypt` is called as often as the longest
 * value needs and no more. Legal lengths (KW: a multiple of 8 from 16; KWP: from 1) are the caller's to check.
 */
export async function wrapAll(
  mode: KeyWrapMode,
  values: readonly Uint8Array[],
  encrypt: BlockFunction,
): Promise<Uint8Array[]> {
  const registers = values.map((value) => (mode === 'KW' ? kwRegisters(value) : kwpRegisters(value)))
  await wipingOnFailure(registers, async () => {
    for (let round = 0; ; round++) {
      const active = registers.filter(({ n }) => round < stepsOf(n))
      if (active.length === 0) return
      const blocks = wipeable(active.length * BLOCK)
      active.forEach(({ bytes, n }, at) => {
        const position = SEMIBLOCK * (1 + (round % n))
        blocks.set(bytes.subarray(0, SEMIBLOCK), at * BLOCK)
        blocks.set(bytes.subarray(position, position + SEMIBLOCK), at * BLOCK + SEMIBLOCK)
      })
      const result = await callBlocks(encrypt, blocks)
      active.forEach(({ bytes, n }, at) => {
        const block = result.subarray(at * BLOCK, (at + 1) * BLOCK)
        if (n > 1) xorCounter(block, round + 1)
        bytes.set(block.subarray(0, SEMIBLOCK))
        bytes.set(block.subarray(SEMIBLOCK), SEMIBLOCK * (1 + (round % n)))
      })
      result.fill(0)
    }
  })
  return registers.map(({ bytes }) => bytes)
}

/**
 * Unwraps several values under one key, in lockstep as {@link wrapAll} does. A value that is not a wrapped value of this
 * mode and key (length, integrity value, padding: not told apart) gives `undefined` in its place.
 */
export async function unwrapAll(
  mode: KeyWrapMode,
  values: readonly Uint8Array[],
  decrypt: BlockFunction,
): Promise<(Uint8Array | undefined)[]> {
  const registers = values.map((value): Registers | undefined =>
    value.length % SEMIBLOCK === 0 && value.length >= (mode === 'KW' ? 3 : 2) * SEMIBLOCK
      ? { bytes: wipeableCopy(value), n: value.length / SEMIBLOCK - 1 }
      : undefined,
  )
  const legal = registers.filter((value) => value !== undefined)
  await wipingOnFailure(legal, async () => {
    for (let round = 0; ; round++) {
      const active = legal.filter(({ n }) => round < stepsOf(n))
      if (active.length === 0) return
      const blocks = wipeable(active.length * BLOCK)
      active.forEach(({ bytes, n }, at) => {
        const position = SEMIBLOCK * (n - (round % n))
        const block = blocks.subarray(at * BLOCK, (at + 1) * BLOCK)
        block.set(bytes.subarray(0, SEMIBLOCK))
        block.set(bytes.subarray(position, position + SEMIBLOCK), SEMIBLOCK)
        if (n > 1) xorCounter(block, ROUNDS * n - round)
      })
      const result = await callBlocks(decrypt, blocks)
      active.forEach(({ bytes, n }, at) => {
        bytes.set(result.subarray(at * BLOCK, at * BLOCK + SEMIBLOCK))
        bytes.set(result.subarray(at * BLOCK + SEMIBLOCK, (at + 1) * BLOCK), SEMIBLOCK * (n - (round % n)))
      })
      result.fill(0)
    }
  })
  return registers.map((value) => value && (mode === 'KW' ? openKw(value) : openKwp(value)))
}

/** RFC 5649 §4.1: a single semiblock is encrypted once, without the rounds of RFC 3394. */
const stepsOf = (n: number) => (n === 1 ? 1 : ROUNDS * n)

/** The blocks, which hold parts of a data key, are zeroed. */
async function callBlocks(cipher: BlockFunction, blocks: Uint8Array): Promise<Uint8Array> {
  try {
    const result = await cipher(blocks)
    if (result.length !== blocks.length) throw new RangeError('the block function changed the length')
    return result
  } finally {
    blocks.fill(0)
  }
}

/** A block function that rejects, at a deadline for one, leaves no data key behind. */
async function wipingOnFailure(registers: readonly Registers[], steps: () => Promise<void>): Promise<void> {
  try {
    await steps()
  } catch (error) {
    for (const { bytes } of registers) bytes.fill(0)
    throw error
  }
}

/** A = A xor t (RFC 3394 §2.2.1), t being far below 2^32 for any value that fits in memory. */
function xorCounter(block: Uint8Array, t: number): void {
  for (let byte = 0; byte < 4; byte++) {
    const at = SEMIBLOCK - 1 - byte
    block[at] = (block[at] ?? 0) ^ ((t >>> (8 * byte)) & 0xff)
  }
}

function kwRegisters(value: Uint8Array): Registers {
  const bytes = wipeable(SEMIBLOCK + value.length)
  bytes.set(KW_INITIAL_VALUE)
  bytes.set(value, SEMIBLOCK)
  return { bytes, n: value.length / SEMIBLOCK }
}

function kwpRegisters(value: Uint8Array): Registers {
  const n = Math.ceil(value.length / SEMIBLOCK)
  const bytes = wipeable(SEMIBLOCK * (1 + n))
  bytes.set(KWP_CONSTANT)
  new DataView(bytes.buffer).setUint32(KWP_CONSTANT.length, value.length)
  bytes.set(value, SEMIBLOCK)
  return { bytes, n }
}

function openKw({ bytes }: Registers): Uint8Array | undefined {
  let difference = 0
  for (let at = 0; at < SEMIBLOCK; at++) difference |= (bytes[at] ?? 0) ^ (KW_INITIAL_VALUE[at] ?? 0)
  const value = difference === 0 ? wipeableCopy(bytes.subarray(SEMIBLOCK)) : undefined
  bytes.fill(0)
  return value
}

/** RFC 5649 §3, the three checks, without stopping at the first that fails. */
function openKwp({ bytes, n }: Registers): Uint8Array | undefined {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(KWP_CONSTANT.length)
  let difference = 0
  for (let at = 0; at < KWP_CONSTANT.length; at++) difference |= (bytes[at] ?? 0) ^ (KWP_CONSTANT[at] ?? 0)
  difference |= Number(length <= SEMIBLOCK * (n - 1)) | Number(length > SEMIBLOCK * n)
  for (let at = SEMIBLOCK * (n - 1); at < SEMIBLOCK * n; at++) {
    difference |= (bytes[SEMIBLOCK + at] ?? 0) * Number(at >= length)
  }
  const value = difference === 0 ? wipeableCopy(bytes.subarray(SEMIBLOCK, SEMIBLOCK + length)) : undefined
  bytes.fill(0)
  return value
}
