/** The tags that are used here, named without blanks (KMIP 1.4 §9.1.3.1, KMIP 2.1 §11.55). */
export const tag = {
  ActivationDate: 0x420001,
  Attribute: 0x420008,
  AttributeName: 0x42000a,
  AttributeReference: 0x42013b,
  Attributes: 0x420125,
  AttributeValue: 0x42000b,
  Authentication: 0x42000c,
  BatchCount: 0x42000d,
  BatchItem: 0x42000f,
  BlockCipherMode: 0x420011,
  CommonAttributes: 0x420126,
  CommonTemplateAttribute: 0x42001f,
  Credential: 0x420023,
  CredentialType: 0x420024,
  CredentialValue: 0x420025,
  CryptographicAlgorithm: 0x420028,
  CryptographicLength: 0x42002a,
  CryptographicParameters: 0x42002b,
  CryptographicUsageMask: 0x42002c,
  Data: 0x4200c2,
  DeactivationDate: 0x42002f,
  HashingAlgorithm: 0x420038,
  InitialDate: 0x420039,
  KeyBlock: 0x420040,
  KeyFormatType: 0x420042,
  KeyMaterial: 0x420043,
  KeyValue: 0x420045,
  KeyWrappingData: 0x420046,
  Link: 0x42004a,
  LinkedObjectIdentifier: 0x42004c,
  LinkType: 0x42004b,
  MaskGenerator: 0x420101,
  MaskGeneratorHashingAlgorithm: 0x420102,
  MaximumItems: 0x42004f,
  Modulus: 0x420052,
  Name: 0x420053,
  NameType: 0x420054,
  NameValue: 0x420055,
  ObjectType: 0x420057,
  OffsetItems: 0x4200d4,
  Operation: 0x42005c,
  PaddingMethod: 0x42005f,
  Password: 0x4200a1,
  PrivateKey: 0x420064,
  PrivateKeyAttributes: 0x420127,
  PrivateKeyTemplateAttribute: 0x420065,
  PrivateKeyUniqueIdentifier: 0x420066,
  ProcessStartDate: 0x420067,
  ProtectStopDate: 0x420068,
  ProtocolVersion: 0x420069,
  ProtocolVersionMajor: 0x42006a,
  ProtocolVersionMinor: 0x42006b,
  PublicExponent: 0x42006c,
  PublicKey: 0x42006d,
  PublicKeyAttributes: 0x420128,
  PublicKeyTemplateAttribute: 0x42006e,
  PublicKeyUniqueIdentifier: 0x42006f,
  QueryFunction: 0x420074,
  RequestHeader: 0x420077,
  RequestMessage: 0x420078,
  RequestPayload: 0x420079,
  ResponseHeader: 0x42007a,
  ResponseMessage: 0x42007b,
  ResponsePayload: 0x42007c,
  ResultReason: 0x42007e,
  ResultStatus: 0x42007f,
  Sensitive: 0x420120,
  State: 0x42008d,
  SymmetricKey: 0x42008f,
  TemplateAttribute: 0x420091,
  UniqueBatchItemId: 0x420093,
  UniqueIdentifier: 0x420094,
  Username: 0x420099,
  VendorIdentification: 0x42009d,
} as const

export const operation = {
  Create: 0x01,
  CreateKeyPair: 0x02,
  Locate: 0x08,
  Get: 0x0a,
  GetAttributes: 0x0b,
  Activate: 0x12,
  Destroy: 0x14,
  Query: 0x18,
  DiscoverVersions: 0x1e,
  Encrypt: 0x1f,
  Decrypt: 0x20,
} as const

export const resultStatus = { Success: 0, OperationFailed: 1 } as const

export const objectType = { SymmetricKey: 2, PublicKey: 3, PrivateKey: 4 } as const

export const state = {
  PreActive: 1,
  Active: 2,
  Deactivated: 3,
  Compromised: 4,
  Destroyed: 5,
  DestroyedCompromised: 6,
} as const

export const algorithm = { AES: 3, RSA: 4 } as const
export const blockCipherMode = { ECB: 0x02, AESKeyWrapPadding: 0x0c, NISTKeyWrap: 0x0d } as const
export const paddingMethod = { None: 1, OAEP: 2, PKCS5: 3 } as const
export const hashingAlgorithm = { 'SHA-1': 4, 'SHA-256': 6 } as const
export const MASK_GENERATOR_MGF1 = 1
export const usageMask = { Encrypt: 0x04, Decrypt: 0x08 } as const
export const keyFormat = { Raw: 1, PKCS1: 3, PKCS8: 4, X509: 5, TransparentRsaPublic: 0x0b } as const
export const LINK_PUBLIC_KEY = 0x102
export const NAME_UNINTERPRETED_TEXT = 1
export const CREDENTIAL_USERNAME_PASSWORD = 1
export const queryFunction = { Operations: 1, ServerInformation: 3 } as const

/** KMIP 1.4 §9.1.3.2.29 and KMIP 2.1 §11.48; the second block exists in 2.x only. */
export const resultReason = {
  ItemNotFound: 0x01,
  ResponseTooLarge: 0x02,
  AuthenticationNotSuccessful: 0x03,
  InvalidMessage: 0x04,
  OperationNotSupported: 0x05,
  MissingData: 0x06,
  InvalidField: 0x07,
  FeatureNotSupported: 0x08,
  CryptographicFailure: 0x0a,
  IllegalOperation: 0x0b,
  PermissionDenied: 0x0c,
  ObjectArchived: 0x0d,
  KeyFormatTypeNotSupported: 0x10,
  KeyValueNotPresent: 0x13,
  Sensitive: 0x16,
  NotExtractable: 0x17,
  ObjectAlreadyExists: 0x18,
  GeneralFailure: 0x100,

  UsageLimitExceeded: 0x1a,
  BadCryptographicParameters: 0x24,
  IllegalObjectType: 0x28,
  IncompatibleCryptographicUsageMask: 0x29,
  InternalServerError: 0x2a,
  InvalidObjectType: 0x30,
  ObjectDestroyed: 0x36,
  ObjectNotFound: 0x37,
  NotAuthorised: 0x39,
  ServerLimitExceeded: 0x3a,
  UnknownEnumeration: 0x3b,
  UnsupportedCryptographicParameters: 0x3e,
  UnsupportedProtocolVersion: 0x3f,
  WrongKeyLifecycleState: 0x43,
} as const
