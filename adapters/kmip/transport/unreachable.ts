import { OperatorError } from '../../contract/index.ts'

/**
 * The server cannot be used, and the caller's request was not sent. Another server can be asked. `code` is that of
 * Node.js or OpenSSL, or {@link NO_ANSWER} or {@link LOGIN_REFUSED}.
 */
export class ServerUnreachable extends Error {
  override readonly name = 'ServerUnreachable'
  readonly code: string
  /** The message, if the code alone says too little. */
  readonly sentence: string | undefined

  constructor(code: string, sentence?: string) {
    super(sentence ?? `the server cannot be reached: ${code}`)
    this.code = code
    this.sentence = sentence
  }
}

export const NO_ANSWER = 'NO_ANSWER'
/** KMIP's Authentication Not Successful. A server may lock the account after repeated attempts. */
export const LOGIN_REFUSED = 'AUTHENTICATION_NOT_SUCCESSFUL'

/** One of the two sides refuses the other's certificate or protocol. Waiting does not help. */
export const isTlsCode = (code: string): boolean =>
  code.startsWith('ERR_SSL_') ||
  code.startsWith('ERR_TLS_') ||
  code.startsWith('CERT_') ||
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'].includes(code) ||
  code.startsWith('UNABLE_TO_GET_ISSUER_CERT')

/** Alerts of RFC 8446 section 6.2 that are about the client's certificate; OpenSSL puts the version before their names. */
const CLIENT_REFUSED =
  /_ALERT_(?:BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(?:REQUIRED|REVOKED|EXPIRED|UNKNOWN)|UNKNOWN_CA|ACCESS_DENIED)$/

/** True if the server sent an alert that refuses this client's certificate. */
export const isClientRefused = (code: string): boolean => CLIENT_REFUSED.test(code)

/** The error that only an operator can correct. Undefined for one that may pass by itself. */
export function operatorError(error: unknown): OperatorError | undefined {
  if (!(error instanceof ServerUnreachable)) return undefined
  const { code } = error
  if (code === LOGIN_REFUSED) {
    return new OperatorError('KMIP_LOGIN_REFUSED', `the key manager refuses the login: ${error.message}`)
  }
  if (isClientRefused(code)) {
    return new OperatorError('KMIP_TLS_REFUSED', `the key manager does not accept this client's certificate: ${code}`)
  }
  if (!isTlsCode(code)) return undefined
  return new OperatorError('KMIP_TLS_REFUSED', `the TLS connection to the key manager failed: ${code}`)
}
