import type { CallSignal } from '../../contract/index.ts'
import { encodeCrypt } from '../crypt-message.ts'
import { Ask } from '../frames.ts'
import { PIPELINE } from '../supervisor/host-choice.ts'
import type { HostPool } from '../supervisor/host-pool.ts'
import { Pace } from '../supervisor/pace.ts'
import type { Direction, Way } from '../way.ts'
import type { Witness } from './witness.ts'

/** How long a host-run key wrap keeps a host before others have their turn; most are done long before. */
const SLICE_MS = { call: 100, background: 20 }

/** Two private operations at a time with a host: one that runs, one that is ready to. */
const RSA_WEIGHT = PIPELINE / 2

export interface CryptCall {
  readonly selector: string
  readonly way: Way
  readonly direction: Direction
  readonly data: Uint8Array
  /** Shows what a failure means. */
  readonly witness: Witness | undefined
  readonly signal?: CallSignal
  /** It asks for somebody who waits, for nobody, or for the token's health: that waits behind no other call of its key. */
  readonly purpose?: 'call' | 'background' | 'probe'
}

/** Wraps and unwraps on the token, by whichever host is free. */
export class TokenCalls {
  readonly #pool: HostPool
  readonly #paces = new Map<string, Pace>()

  constructor(pool: HostPool) {
    this.#pool = pool
  }

  /** The result is the caller's to zero. */
  crypt({ purpose = 'call', signal, witness, ...request }: CryptCall): Promise<Uint8Array> {
    const { selector, way, direction } = request
    const background = purpose === 'background'
    const sliceMs = background ? SLICE_MS.background : SLICE_MS.call
    return this.#pool.call(Ask.crypt, encodeCrypt({ ...request, step: 0, sliceMs }), {
      ...(signal && { signal }),
      ...(witness && { witness }),
      unwrapping: direction === 'unwrap',
      weight: way.scheme === 'KW' || way.scheme === 'KWP' ? 1 : RSA_WEIGHT,
      pace: this.#paceOf(purpose === 'probe' ? purpose : `${direction} ${selector}`),
      background,
    })
  }

  /** There is another token. */
  forget(): void {
    this.#paces.clear()
  }

  #paceOf(calls: string): Pace {
    const pace = this.#paces.get(calls) ?? new Pace()
    this.#paces.set(calls, pace)
    return pace
  }
}
