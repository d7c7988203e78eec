import type { CallSignal } from '../../contract/index.ts'
import { encodeCrypt } from '../wire/crypt-message.ts'
import { Ask } from '../wire/frames.ts'
import { PIPELINE } from '../supervisor/host-choice.ts'
import type { Supervisor } from '../supervisor/supervisor.ts'
import { Pace, Paces } from '../supervisor/pace.ts'
import type { Direction, Way } from '../cryptoki/way.ts'
import type { Witness } from './witness.ts'

/** Milliseconds that a host-run key wrap may occupy a host before other calls get their turn. Most take much less. */
const SLICE_MS = { call: 100, background: 20 }

/** A host gets two RSA private operations at a time: one runs, and one is ready to run. */
const RSA_WEIGHT = PIPELINE / 2

export interface CryptCall {
  readonly selector: string
  readonly way: Way
  readonly direction: Direction
  readonly data: Uint8Array
  /** Shows what caused a failure. */
  readonly witness: Witness | undefined
  readonly signal?: CallSignal
  /**
   * Whether a caller waits for it, none does, or it examines the token's health. A probe does not wait behind other
   * calls with its key.
   */
  readonly purpose?: 'call' | 'background' | 'probe'
}

/** Wraps and unwraps on the token, on whichever host is free. */
export class TokenCalls {
  readonly #supervisor: Supervisor
  readonly #paces = new Paces()
  /** Of what nobody waits for: a sample of 512 bytes says nothing of data keys. */
  readonly #backgroundPace = new Pace(this.#paces)

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor
  }

  /** The caller zeroes the result. */
  crypt({ purpose = 'call', signal, witness, ...request }: CryptCall): Promise<Uint8Array> {
    const { selector, way, direction } = request
    const background = purpose === 'background'
    const sliceMs = background ? SLICE_MS.background : SLICE_MS.call
    return this.#supervisor.call(Ask.crypt, encodeCrypt({ ...request, step: 0, sliceMs }), {
      ...(signal && { signal }),
      ...(witness && { witness }),
      unwrapping: direction === 'unwrap',
      weight: way.scheme === 'KW' || way.scheme === 'KWP' ? 1 : RSA_WEIGHT,
      pace: background ? this.#backgroundPace : this.#paces.of(selector, purpose === 'probe' ? purpose : direction),
      shares: way.path === 'blocks',
      background,
      inRightWay: !background,
    })
  }

  /** Forgets the pace of all keys, because there is another token. */
  forget(): void {
    this.#paces.clear()
  }
}
