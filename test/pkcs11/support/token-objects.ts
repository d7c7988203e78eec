import type { JsonWebKey } from 'node:crypto'
import { PKCS11, type Handle, type Template } from 'pkcs11js'
import { CKA, CKF, CKK, CKM, CKO, CKU_USER } from '../../../adapters/pkcs11/cryptoki/numbers.ts'
import type { TestKey } from '../../contract/harness.ts'
import { MODULE, PIN } from './softhsm.ts'

/** Objects that a test makes on a token behind the adapter's back, by pkcs11js in the test's own process. */
export interface TokenObjects {
  /** A key of the common suites. A past date becomes yesterday, and a future date becomes tomorrow. */
  import(key: TestKey): void
  aes(label: string, more?: Attributes, value?: Uint8Array): void
  /** A pair that the token generates, or the private half of `jwk` without a public object. */
  rsa(label: string, more?: Attributes, jwk?: JsonWebKey): void
  destroy(label: string): void
  setLabel(label: string, to: string): void
  /** Changes the user's PIN. Existing logins stay valid. */
  setPin(from: string, to: string): void
  /** Attributes of the object of this class, for a test's own assertions. */
  read(label: string, keyClass: number, type: number): Buffer
}

export type Attributes = Readonly<Partial<Record<keyof typeof CKA, boolean | number | string | Buffer>>>

export interface Library {
  readonly module: string
  readonly libraryParameters?: string
}

/** Logs in, does `work`, and releases the module, so that the next call sees the token afresh. */
export function onToken<Result>(
  tokenLabel: string,
  work: (objects: TokenObjects) => Result,
  pin = PIN,
  library: Library = { module: MODULE },
): Result {
  const module = new PKCS11()
  module.load(library.module)
  try {
    return work(objectsOf(module, openSession(module, library, tokenLabel, pin)))
  } finally {
    module.C_Finalize()
    module.close()
  }
}

export function initialize(module: PKCS11, { libraryParameters }: Library): void {
  module.C_Initialize({
    flags: CKF.OS_LOCKING_OK,
    // pkcs11js cuts off the last byte.
    ...(libraryParameters !== undefined && { libraryParameters: `${libraryParameters}\0` }),
  })
}

/** SoftHSM 2.6.1 shows no token, or fails, in a process that starts while another logs in. */
function openSession(module: PKCS11, library: Library, tokenLabel: string, pin: string): Handle {
  for (let attempt = 1; ; attempt += 1) {
    initialize(module, library)
    try {
      const labelOf = (slot: Handle) => module.C_GetTokenInfo(slot).label.split('\0')[0]?.trimEnd()
      const slot = module.C_GetSlotList(true).find((id) => labelOf(id) === tokenLabel)
      if (slot === undefined) throw new Error(`no token ${tokenLabel}`)
      const session = module.C_OpenSession(slot, CKF.SERIAL_SESSION | CKF.RW_SESSION)
      module.C_Login(session, CKU_USER, pin)
      return session
    } catch (error) {
      if (attempt === 10) throw error
      module.C_Finalize()
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    }
  }
}

function template(defaults: Attributes, more: Attributes): Template {
  const merged: Attributes = { ...defaults, ...more }
  return (Object.keys(merged) as (keyof typeof CKA)[]).flatMap((name) => {
    const value = merged[name]
    return value === undefined ? [] : [{ type: CKA[name], value }]
  })
}

const usable: Attributes = { ENCRYPT: true, DECRYPT: true, WRAP: true, UNWRAP: true }
const kept: Attributes = { TOKEN: true, PRIVATE: true, SENSITIVE: true, EXTRACTABLE: false }

function objectsOf(module: PKCS11, session: Handle): TokenObjects {
  const find = (attributes: Attributes) => {
    module.C_FindObjectsInit(session, template({}, attributes))
    const found = module.C_FindObjects(session, 20)
    module.C_FindObjectsFinal(session)
    return found
  }
  const objects: TokenObjects = {
    import: (key) => {
      if (key.material.kty === 'oct') objects.aes(key.name, dates(key), key.material.k)
      else objects.rsa(key.name, dates(key), { ...key.material.jwk })
    },
    aes: (label, more = {}, value) => {
      const base = { ...kept, ...usable, CLASS: CKO.SECRET_KEY, KEY_TYPE: CKK.AES, LABEL: label }
      if (value === undefined) {
        module.C_GenerateKey(session, { mechanism: CKM.AES_KEY_GEN }, template({ ...base, VALUE_LEN: 32 }, more))
      } else module.C_CreateObject(session, template({ ...base, VALUE: Buffer.from(value) }, more))
    },
    rsa: (label, more = {}, jwk) => {
      if (jwk !== undefined) {
        module.C_CreateObject(session, [
          ...template({ ...kept, LABEL: label, DECRYPT: true }, more),
          ...privateRsa(jwk),
        ])
        return
      }
      module.C_GenerateKeyPair(
        session,
        { mechanism: CKM.RSA_PKCS_KEY_PAIR_GEN },
        template(
          { TOKEN: true, LABEL: label, MODULUS_BITS: 2048, PUBLIC_EXPONENT: Buffer.of(1, 0, 1) },
          publicOnly(more),
        ),
        template({ ...kept, LABEL: label, DECRYPT: true, UNWRAP: true }, privateOnly(more)),
      )
    },
    destroy: (label) => {
      for (const object of find({ LABEL: label })) module.C_DestroyObject(session, object)
    },
    setLabel: (label, to) => {
      for (const object of find({ LABEL: label })) {
        module.C_SetAttributeValue(session, object, [{ type: CKA.LABEL, value: to }])
      }
    },
    setPin: (from, to) => module.C_SetPIN(session, from, to),
    read: (label, keyClass, type) => {
      const [object] = find({ LABEL: label, CLASS: keyClass })
      if (object === undefined) throw new Error(`no object ${label}`)
      const [attribute] = module.C_GetAttributeValue(session, object, [{ type }])
      return attribute?.value as Buffer
    },
  }
  return objects
}

const DAY_MS = 86_400_000
const dayOf = (time: number) => Buffer.from(new Date(time).toISOString().slice(0, 10).replaceAll('-', ''))
/** A token keeps whole days. */
const sameSide = (date: Date) => dayOf(Date.now() + (date.getTime() > Date.now() ? DAY_MS : -DAY_MS))

// SoftHSM 2.6.1 cannot show the dates of a private object.
const dates = ({ notBefore, expires }: TestKey): Attributes => ({
  ...((notBefore ?? expires) && { PRIVATE: false }),
  ...(notBefore && { START_DATE: sameSide(notBefore) }),
  ...(expires && { END_DATE: sameSide(expires) }),
})

const publicOnly = ({ ENCRYPT, WRAP, ID, MODULUS_BITS }: Attributes): Attributes => ({
  ...(ENCRYPT !== undefined && { ENCRYPT }),
  ...(WRAP !== undefined && { WRAP }),
  ...(ID !== undefined && { ID }),
  ...(MODULUS_BITS !== undefined && { MODULUS_BITS }),
})

const privateOnly = (more: Attributes): Attributes =>
  Object.fromEntries(Object.entries(more).filter(([name]) => !['ENCRYPT', 'WRAP', 'MODULUS_BITS'].includes(name)))

/** CKA_PRIVATE_EXPONENT to CKA_COEFFICIENT, which the adapter never reads. */
function privateRsa(jwk: JsonWebKey): Template {
  const bytes = (text: string | undefined) => Buffer.from(text ?? '', 'base64url')
  return [
    { type: CKA.CLASS, value: CKO.PRIVATE_KEY },
    { type: CKA.KEY_TYPE, value: CKK.RSA },
    { type: CKA.MODULUS, value: bytes(jwk.n) },
    { type: CKA.PUBLIC_EXPONENT, value: bytes(jwk.e) },
    ...[jwk.d, jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].map((text, index) => ({
      type: 0x123 + index,
      value: bytes(text),
    })),
  ]
}
