import { wipeable, wipeableCopy } from '../contract/index.ts'

/** `KW` is RFC 3394 (SP 800-38F AES-KW), `KWP` is RFC 5649 (SP 800-38F AES-KWP). */
export type KeyWrapMode = 'KW' | 'KWP'

/**
 * One direction of AES in ECB mode under the key-encryption key, wherever that key is. It takes any number of 16-byte
 * blocks and returns as many. Each block is computed independently. The result must not share memory with the argument.
 */
export type BlockFunction = (blocks: Uint8Array) => Uint8Array | Promise<Uint8Array>

const SEMIBLOCK = 8
const BLOCK = 2 * SEMIBLOCK
const ROUNDS = 6
/** RFC 3394 §2.2.3.1 and RFC 5649 §3. */
const KW_INITIAL_VALUE = Uint8Array.of(0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6)
const KWP_CONSTANT = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6)

/**
 * A value that is being wrapped or unwrapped: the register A and the semiblocks R as A | R[1] | … | R[n], and how many
 * block calls have been made.
 */
export interface KeyWrapState {
  readonly bytes: Uint8Array
  step: number
}

export type KeyWrapDirection = 'wrap' | 'unwrap'

/**
 * How many block calls a value of `wrappedBytes` needs: 6 for every semiblock but the first, or one for a single block.
 */
export const blockCalls = (wrappedBytes: number): number =>
  wrappedBytes === BLOCK ? 1 : ROUNDS * (wrappedBytes / SEMIBLOCK - 1)

/**
 * Wraps several values under one key. All values advance in lockstep, so `encrypt` is called only as often as the
 * longest value needs. The caller checks the lengths (KW: a multiple of 8 from 16 bytes; KWP: from 1 byte).
 */
export async function wrapAll(
  mode: KeyWrapMode,
  values: readonly Uint8Array[],
  encrypt: BlockFunction,
): Promise<Uint8Array[]> {
  const states = values.map((value) => (mode === 'KW' ? kwRegisters(value) : kwpRegisters(value)))
  await advanceAll('wrap', states, encrypt)
  return states.map(({ bytes }) => bytes)
}

/**
 * Unwraps several values under one key, in lockstep as {@link wrapAll} does.
 * @returns one result for each value; undefined if it is not a wrapped value of this mode and key (length, integrity
 *   value or padding: not told apart)
 */
export async function unwrapAll(
  mode: KeyWrapMode,
  values: readonly Uint8Array[],
  decrypt: BlockFunction,
): Promise<(Uint8Array | undefined)[]> {
  const states = values.map((value) => beginKeyWrap(mode, 'unwrap', value))
  await advanceAll(
    'unwrap',
    states.filter((state) => state !== undefined),
    decrypt,
  )
  return states.map((state) => state && endKeyWrap(mode, 'unwrap', state))
}

/** A copy of `value`, ready for its first block call. Undefined for a ciphertext whose length is impossible. */
export function beginKeyWrap(
  mode: KeyWrapMode,
  direction: KeyWrapDirection,
  value: Uint8Array,
): KeyWrapState | undefined {
  if (direction === 'wrap') return mode === 'KW' ? kwRegisters(value) : kwpRegisters(value)
  const legal = value.length % SEMIBLOCK === 0 && value.length >= (mode === 'KW' ? 3 : 2) * SEMIBLOCK
  return legal ? { bytes: wipeableCopy(value), step: 0 } : undefined
}

/** Advances the states in lockstep. Before each block call it asks `mayGoOn` whether to continue. */
export async function advanceAll(
  direction: KeyWrapDirection,
  states: readonly KeyWrapState[],
  cipher: BlockFunction,
  mayGoOn: () => boolean = () => true,
): Promise<void> {
  await wipingOnFailure(states, async () => {
    for (;;) {
      const active = states.filter((state) => !isDone(state))
      if (active.length === 0 || !mayGoOn()) return
      const blocks = wipeable(active.length * BLOCK)
      active.forEach((state, at) => fillBlock(direction, state, blocks.subarray(at * BLOCK, (at + 1) * BLOCK)))
      const result = await callBlocks(cipher, blocks)
      active.forEach((state, at) => takeBlock(direction, state, result.subarray(at * BLOCK, (at + 1) * BLOCK)))
      result.fill(0)
    }
  })
}

export const isDone = ({ bytes, step }: KeyWrapState): boolean => step >= blockCalls(bytes.length)

/** The result of a finished state. Undefined if the ciphertext turns out not to be one. */
export const endKeyWrap = (
  mode: KeyWrapMode,
  direction: KeyWrapDirection,
  state: KeyWrapState,
): Uint8Array | undefined => {
  if (direction === 'wrap') return state.bytes
  return mode === 'KW' ? openKw(state) : openKwp(state)
}

const semiblocks = ({ bytes }: KeyWrapState) => bytes.length / SEMIBLOCK - 1

/** The offset of the semiblock of this step. */
function positionOf(direction: KeyWrapDirection, state: KeyWrapState): number {
  const n = semiblocks(state)
  return SEMIBLOCK * (direction === 'wrap' ? 1 + (state.step % n) : n - (state.step % n))
}

function fillBlock(direction: KeyWrapDirection, state: KeyWrapState, block: Uint8Array): void {
  const n = semiblocks(state)
  const position = positionOf(direction, state)
  block.set(state.bytes.subarray(0, SEMIBLOCK))
  block.set(state.bytes.subarray(position, position + SEMIBLOCK), SEMIBLOCK)
  if (direction === 'unwrap' && n > 1) xorCounter(block, ROUNDS * n - state.step)
}

function takeBlock(direction: KeyWrapDirection, state: KeyWrapState, block: Uint8Array): void {
  const position = positionOf(direction, state)
  if (direction === 'wrap' && semiblocks(state) > 1) xorCounter(block, state.step + 1)
  state.bytes.set(block.subarray(0, SEMIBLOCK))
  state.bytes.set(block.subarray(SEMIBLOCK), position)
  state.step += 1
}

/** Zeroes the blocks, which hold parts of a data key. */
async function callBlocks(cipher: BlockFunction, blocks: Uint8Array): Promise<Uint8Array> {
  try {
    const result = await cipher(blocks)
    if (result.length !== blocks.length) throw new RangeError('the block function changed the length')
    return result
  } finally {
    blocks.fill(0)
  }
}

/** Zeroes the blocks also if the block function rejects, for example at a deadline. */
async function wipingOnFailure(states: readonly KeyWrapState[], steps: () => Promise<void>): Promise<void> {
  try {
    await steps()
  } catch (error) {
    for (const { bytes } of states) bytes.fill(0)
    throw error
  }
}

/** A = A xor t (RFC 3394 §2.2.1). t is far below 2^32 for any value that fits into memory. */
function xorCounter(block: Uint8Array, t: number): void {
  for (let byte = 0; byte < 4; byte++) {
    const at = SEMIBLOCK - 1 - byte
    block[at] = (block[at] ?? 0) ^ ((t >>> (8 * byte)) & 0xff)
  }
}

function kwRegisters(value: Uint8Array): KeyWrapState {
  const bytes = wipeable(SEMIBLOCK + value.length)
  bytes.set(KW_INITIAL_VALUE)
  bytes.set(value, SEMIBLOCK)
  return { bytes, step: 0 }
}

function kwpRegisters(value: Uint8Array): KeyWrapState {
  const n = Math.ceil(value.length / SEMIBLOCK)
  const bytes = wipeable(SEMIBLOCK * (1 + n))
  bytes.set(KWP_CONSTANT)
  new DataView(bytes.buffer).setUint32(KWP_CONSTANT.length, value.length)
  bytes.set(value, SEMIBLOCK)
  return { bytes, step: 0 }
}

function openKw({ bytes }: KeyWrapState): Uint8Array | undefined {
  let difference = 0
  for (let at = 0; at < SEMIBLOCK; at++) difference |= (bytes[at] ?? 0) ^ (KW_INITIAL_VALUE[at] ?? 0)
  const value = difference === 0 ? wipeableCopy(bytes.subarray(SEMIBLOCK)) : undefined
  bytes.fill(0)
  return value
}

/** The three checks of RFC 5649 §3. All are made, even if one fails. */
function openKwp(state: KeyWrapState): Uint8Array | undefined {
  const { bytes } = state
  const n = semiblocks(state)
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
