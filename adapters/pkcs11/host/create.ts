import { randomBytes } from 'node:crypto'
import type { Handle, Template } from 'pkcs11js'
import { OperatorError } from '../../contract/index.ts'
import { CKA, CKK, CKM, CKO, CKR } from '../cryptoki/numbers.ts'
import type { CreateMessage, KeyFacts } from '../wire/host-protocol.ts'
import { ckrOf } from './ckr.ts'
import { readKeyFacts } from './objects.ts'
import type { Token } from './token.ts'

const ID_BYTES = 16
const PUBLIC_EXPONENT = Buffer.of(1, 0, 1)

/**
 * Creates a key-encryption key that cannot leave the token: sensitive, not extractable. It has the usages that any way
 * of wrapping may need, and no others.
 */
export function createKey(token: Token, message: CreateMessage): KeyFacts {
  const { module, session } = token
  const id = randomBytes(ID_BYTES)
  const common = [
    { type: CKA.TOKEN, value: true },
    { type: CKA.LABEL, value: message.label },
    { type: CKA.ID, value: id },
    ...dates(message),
  ]
  const secret = [
    { type: CKA.PRIVATE, value: true },
    { type: CKA.SENSITIVE, value: true },
    { type: CKA.EXTRACTABLE, value: false },
  ]
  if (message.kty === 'oct') {
    const key = module.C_GenerateKey(session, { mechanism: CKM.AES_KEY_GEN }, [
      { type: CKA.CLASS, value: CKO.SECRET_KEY },
      { type: CKA.KEY_TYPE, value: CKK.AES },
      { type: CKA.VALUE_LEN, value: message.bits / 8 },
      ...common,
      ...secret,
      ...allow([CKA.ENCRYPT, CKA.DECRYPT, CKA.WRAP, CKA.UNWRAP], [CKA.SIGN, CKA.VERIFY]),
    ])
    return checkDates(token, message, readKeyFacts(token, key, 'secret'), [key])
  }
  const generatePair = (notPublic: readonly number[], notPrivate: readonly number[]) =>
    module.C_GenerateKeyPair(
      session,
      { mechanism: CKM.RSA_PKCS_KEY_PAIR_GEN },
      [
        ...common,
        { type: CKA.MODULUS_BITS, value: message.bits },
        { type: CKA.PUBLIC_EXPONENT, value: PUBLIC_EXPONENT },
        ...allow([CKA.ENCRYPT, CKA.WRAP], notPublic),
      ],
      [...common, ...secret, ...allow([CKA.DECRYPT, CKA.UNWRAP], notPrivate)],
    )
  const { privateKey, publicKey } = withoutWhatIsUnknown(
    () => generatePair([CKA.VERIFY], [CKA.SIGN]),
    () => generatePair([], []),
  )
  return checkDates(token, message, readKeyFacts(token, privateKey, 'private'), [privateKey, publicKey])
}

const templateErrors: readonly (number | undefined)[] = [
  CKR.ATTRIBUTE_TYPE_INVALID,
  CKR.ATTRIBUTE_VALUE_INVALID,
  // tpm2-pkcs11 answers this for CKA_VERIFY.
  CKR.GENERAL_ERROR,
]

/** Leaves out an attribute that the token does not know. Such a token has no usage that the attribute could forbid. */
function withoutWhatIsUnknown<Made>(all: () => Made, fewer: () => Made): Made {
  try {
    return all()
  } catch (error) {
    if (!templateErrors.includes(ckrOf(error))) throw error
    return fewer()
  }
}

/** A key whose dates the token cannot show could never be used, so it is destroyed again. */
function checkDates(token: Token, message: CreateMessage, facts: KeyFacts, objects: readonly Handle[]): KeyFacts {
  if (facts.startDate === message.startDate && facts.endDate === message.endDate) return facts
  for (const object of objects) token.module.C_DestroyObject(token.session, object)
  throw new OperatorError(
    'KEY_DATES_INVALID',
    'this token cannot show the dates of a private object (SoftHSM 2.6.1 cannot): create the ' + 'key without dates',
  )
}

const allow = (usages: readonly number[], not: readonly number[]): Template => [
  ...usages.map((type) => ({ type, value: true })),
  ...not.map((type) => ({ type, value: false })),
]

const dates = ({ startDate, endDate }: CreateMessage): Template => [
  ...(startDate === undefined ? [] : [{ type: CKA.START_DATE, value: Buffer.from(startDate) }]),
  ...(endDate === undefined ? [] : [{ type: CKA.END_DATE, value: Buffer.from(endDate) }]),
]
