import { TokenError } from '../cryptoki/token-error.ts'
import type { Direction, Way } from '../cryptoki/way.ts'
import { damaged, equal, samples, type KnownAnswer } from './known-answers.ts'
import { allows, type TokenKey } from './token-key.ts'
import { knownValue, type Crypt, type Witness } from './witness.ts'

/** The token does something other than the algorithm. */
export class WrongAnswer extends Error {}

/**
 * Checks that the way gives all of `answers`.
 * @throws WrongAnswer if it does not; otherwise as `crypt` does
 */
export async function check(
  crypt: Crypt,
  selector: string,
  way: Way,
  directions: readonly Direction[],
  answers: readonly KnownAnswer[],
): Promise<void> {
  const checkOne = async ({ plaintext, wrapped }: KnownAnswer) => {
    // OAEP is randomised. Its wrapping is done in this process, so only the token's part is checked.
    if ((way.scheme === 'KW' || way.scheme === 'KWP') && directions.includes('wrap')) {
      const result = await crypt(selector, way, 'wrap', plaintext)
      if (!equal(result, wrapped)) throw new WrongAnswer(`wrong result for ${plaintext.length} bytes`)
    }
    if (!directions.includes('unwrap')) return
    const result = await crypt(selector, way, 'unwrap', wrapped)
    if (!equal(result, plaintext)) throw new WrongAnswer(`${plaintext.length} bytes came back as ${result.length}`)
    result.fill(0)
  }
  // Block by block, all values together take the time of the longest.
  if (way.path === 'blocks') await Promise.all(answers.map(checkOne))
  else for (const answer of answers) await checkOne(answer)
}

export async function refusesDamaged(
  crypt: Crypt,
  selector: string,
  way: Way,
  directions: readonly Direction[],
  answers: readonly KnownAnswer[],
): Promise<void> {
  const [first] = answers
  if (first === undefined || !directions.includes('unwrap')) return
  const witness = witnessOf(selector, way, answers)
  if (await opens(crypt, selector, way, damaged(first.wrapped), witness))
    throw new WrongAnswer('it unwraps a damaged value')
}

export const witnessOf = (selector: string, way: Way, [answer]: readonly KnownAnswer[]): Witness | undefined =>
  answer && knownValue(selector, way, answer)

/** The way is right with the key beside it. This checks whether the key itself may be used in this way. */
export async function checkAccess(crypt: Crypt, key: TokenKey, way: Way, witness: Witness | undefined): Promise<void> {
  const [plaintext = new Uint8Array()] = samples([32])
  if (!allows(key.facts, 'wrap')) {
    await opens(crypt, key.selector, way, samples([40])[0] ?? new Uint8Array(), witness)
    return
  }
  const wrapped = await crypt(key.selector, way, 'wrap', plaintext)
  if (!allows(key.facts, 'unwrap')) return
  const again = await crypt(key.selector, way, 'unwrap', wrapped)
  if (!equal(again, plaintext)) throw new WrongAnswer('32 bytes did not come back')
}

async function opens(
  crypt: Crypt,
  selector: string,
  way: Way,
  wrapped: Uint8Array,
  witness: Witness | undefined,
): Promise<boolean> {
  try {
    const result = await crypt(selector, way, 'unwrap', wrapped, witness)
    result.fill(0)
    return true
  } catch (error) {
    if (error instanceof TokenError && error.code === 'CIPHERTEXT_INVALID') return false
    throw error
  }
}
