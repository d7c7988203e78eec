import type { Handle, Mechanism, RsaOAEP } from 'pkcs11js'
import { asBuffer, wipeable, wipeableCopy } from '../../contract/index.ts'
import { advanceAll, beginKeyWrap, endKeyWrap, isDone, oaepDecode } from '../../key-wrap/index.ts'
import { CKG, CKM } from '../cryptoki/numbers.ts'
import type { CryptMessage } from '../wire/crypt-message.ts'
import type { Direction, Way } from '../cryptoki/way.ts'
import { withBlocks } from './block-cipher.ts'
import { DataKeys } from './data-keys.ts'
import { operationOf } from './operation.ts'
import type { Token } from './token.ts'

/** CKZ_DATA_SPECIFIED, and the type of parameter that pkcs11js names CK_PARAMS_RSA_OAEP. */
const OAEP_SOURCE_DATA = 1
const OAEP_PARAMETERS = 4

/** More bytes than any wrapping adds. */
const SPARE_BYTES = 64

/** A host-run key wrap whose time slice has ended: its registers, and how many block calls have been made. */
export class Unfinished {
  readonly bytes: Uint8Array
  readonly step: number

  constructor(bytes: Uint8Array, step: number) {
    this.bytes = bytes
    this.step = step
  }
}

/** Undefined for a ciphertext that does not unwrap. */
export type CryptResult = Uint8Array | Unfinished | undefined

export type CryptValue = Pick<CryptMessage, 'data' | 'step' | 'sliceMs'>

/** Wraps and unwraps with keys of one token. */
export class Crypt {
  readonly #token: Token
  readonly #dataKeys: DataKeys
  #output = outputOf(1024)

  constructor(token: Token) {
    this.#token = token
    this.#dataKeys = new DataKeys(token)
  }

  /**
   * Wraps or unwraps `values` with one key. Only {@link Way.path | blocks} takes several values at once. The caller
   * zeroes the results, which are valid until the next call. Throws or rejects with the module's error, unless this
   * process itself finds the ciphertext wrong.
   */
  run(
    key: Handle,
    way: Way,
    direction: Direction,
    values: readonly CryptValue[],
  ): CryptResult[] | Promise<CryptResult[]> {
    const { path } = way
    if (path === 'blocks') return this.#blocks(key, way, direction, values)
    const [value] = values
    if (value === undefined || values.length > 1) throw new RangeError('this way takes exactly one value')
    const input = asBuffer(value.data)
    const mechanism = mechanismOf(way)
    switch (path) {
      case 'encrypt':
        return [this.#once(direction, mechanism, key, input)]
      case 'wrap-key':
        return [
          direction === 'wrap'
            ? this.#dataKeys.wrap(mechanism, key, input, this.#outputFor(input))
            : this.#dataKeys.unwrap(mechanism, key, input),
        ]
      case 'raw-rsa':
        return [this.#rawRsa(key, way, input)]
    }
  }

  async #blocks(
    key: Handle,
    { mechanism, scheme }: Way,
    direction: Direction,
    values: readonly CryptValue[],
  ): Promise<CryptResult[]> {
    if (scheme !== 'KW' && scheme !== 'KWP') throw new RangeError('no such way')
    const sliceMs = Math.min(...values.map((value) => value.sliceMs))
    return withBlocks<CryptResult[]>(this.#token, key, mechanism, direction, async (cipher) => {
      const states = values.map(({ data, step }) =>
        step > 0 ? { bytes: wipeableCopy(data), step } : beginKeyWrap(scheme, direction, data),
      )
      const until = performance.now() + sliceMs
      const legal = states.filter((state) => state !== undefined)
      await advanceAll(direction, legal, cipher, () => performance.now() < until)
      return states.map((state) => {
        if (state === undefined || isDone(state)) return state && endKeyWrap(scheme, direction, state)
        return new Unfinished(state.bytes, state.step)
      })
    })
  }

  #once(direction: Direction, mechanism: Mechanism, key: Handle, input: Buffer): Buffer {
    const operation = operationOf(this.#token, direction)
    operation.init(mechanism, key)
    return operation.once(input, this.#outputFor(input))
  }

  #rawRsa(key: Handle, { mechanism, scheme }: Way, input: Buffer): CryptResult {
    if (scheme !== 'SHA-1' && scheme !== 'SHA-256') throw new RangeError('no such way')
    const raw = this.#once('unwrap', { mechanism }, key, input)
    if (raw.length > input.length) throw new RangeError('the token gave more bytes than the modulus has')
    // Some tokens drop leading zeros. Every encoded message has at least one.
    const encoded = wipeable(input.length)
    encoded.set(raw, input.length - raw.length)
    raw.fill(0)
    return oaepDecode(encoded, scheme)
  }

  #outputFor({ length }: Buffer): Buffer {
    if (length + SPARE_BYTES > this.#output.length) this.#output = outputOf(length + SPARE_BYTES)
    return this.#output
  }
}

const outputOf = (length: number): Buffer => asBuffer(wipeable(length))

function mechanismOf({ mechanism, scheme }: Way): Mechanism {
  if (scheme !== 'SHA-1' && scheme !== 'SHA-256') return { mechanism }
  const [hashAlg, mgf] = scheme === 'SHA-1' ? [CKM.SHA_1, CKG.MGF1_SHA1] : [CKM.SHA256, CKG.MGF1_SHA256]
  const parameter: RsaOAEP = { type: OAEP_PARAMETERS, hashAlg, mgf, source: OAEP_SOURCE_DATA }
  return { mechanism, parameter }
}
