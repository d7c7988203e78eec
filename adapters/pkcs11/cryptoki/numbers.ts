/** The numbers of PKCS#11 (OASIS, versions 2.40 to 3.1) that the adapter uses. pkcs11js knows too few of them. */

export const CKO = { PUBLIC_KEY: 2, PRIVATE_KEY: 3, SECRET_KEY: 4 } as const

export const CKK = { RSA: 0x00, GENERIC_SECRET: 0x10, AES: 0x1f } as const

export const CKA = {
  CLASS: 0x000,
  TOKEN: 0x001,
  PRIVATE: 0x002,
  LABEL: 0x003,
  VALUE: 0x011,
  KEY_TYPE: 0x100,
  ID: 0x102,
  SENSITIVE: 0x103,
  ENCRYPT: 0x104,
  DECRYPT: 0x105,
  WRAP: 0x106,
  UNWRAP: 0x107,
  SIGN: 0x108,
  VERIFY: 0x10a,
  START_DATE: 0x110,
  END_DATE: 0x111,
  MODULUS: 0x120,
  MODULUS_BITS: 0x121,
  PUBLIC_EXPONENT: 0x122,
  VALUE_LEN: 0x161,
  EXTRACTABLE: 0x162,
  ALWAYS_AUTHENTICATE: 0x202,
} as const

export const CKM = {
  RSA_PKCS_KEY_PAIR_GEN: 0x0000,
  RSA_X_509: 0x0003,
  RSA_PKCS_OAEP: 0x0009,
  SHA_1: 0x0220,
  SHA256: 0x0250,
  AES_KEY_GEN: 0x1080,
  AES_ECB: 0x1081,
  AES_CBC: 0x1082,
  AES_KEY_WRAP: 0x2109,
  /** Before version 3.0 deprecated "PAD", tokens used it both for RFC 5649 and for PKCS#7 padding. */
  AES_KEY_WRAP_PAD: 0x210a,
  AES_KEY_WRAP_KWP: 0x210b,
  LUNA_AES_KW: 0x80000170,
  LUNA_AES_KWP: 0x80000171,
  CLOUDHSM_AES_KEY_WRAP_NO_PAD: 0x80002109,
  CLOUDHSM_AES_KEY_WRAP_ZERO_PAD: 0x8000216f,
} as const

export const CKG = { MGF1_SHA1: 1, MGF1_SHA256: 2 } as const

export const CKF = {
  OS_LOCKING_OK: 0x2,
  RW_SESSION: 0x2,
  SERIAL_SESSION: 0x4,
  TOKEN_INITIALIZED: 0x400,
  USER_PIN_INITIALIZED: 0x8,
  USER_PIN_COUNT_LOW: 0x1_0000,
  USER_PIN_FINAL_TRY: 0x2_0000,
  USER_PIN_LOCKED: 0x4_0000,
  PROTECTED_AUTHENTICATION_PATH: 0x100,
} as const

export const CKU_USER = 1

export const CKS = { RO_USER_FUNCTIONS: 1, RW_USER_FUNCTIONS: 3 } as const

export const CKR = {
  GENERAL_ERROR: 0x005,
  ATTRIBUTE_SENSITIVE: 0x011,
  ATTRIBUTE_TYPE_INVALID: 0x012,
  ATTRIBUTE_VALUE_INVALID: 0x013,
  TOKEN_NOT_PRESENT: 0x0e0,
  USER_ALREADY_LOGGED_IN: 0x100,
  USER_NOT_LOGGED_IN: 0x101,
  CRYPTOKI_ALREADY_INITIALIZED: 0x191,
} as const

const mechanismNames = new Map<number, string>(Object.entries(CKM).map(([name, number]) => [number, name]))

export const hex = (number: number): string => `0x${number.toString(16)}`

/** For people: `AES_KEY_WRAP (0x2109)`, or only the number if it has no name here. */
export const mechanismName = (mechanism: number): string => {
  const name = mechanismNames.get(mechanism)
  return name === undefined ? hex(mechanism) : `CKM_${name} (${hex(mechanism)})`
}
