import { describe, expect, it } from 'vitest'
import { meaningOf, refusalError, type Use } from '../../adapters/kmip/errors.ts'
import { operation, resultReason } from '../../adapters/kmip/protocol/numbers.ts'
import { KmipRefusal } from '../../adapters/kmip/protocol/operation.ts'

const uses: readonly Use[] = ['describe', 'wrap', 'unwrap']
const meanings = (reason: number) => uses.map((use) => meaningOf(new KmipRefusal(operation.Encrypt, reason), use))

describe('a KMIP result reason', () => {
  it.each<[keyof typeof resultReason, string, string, string]>([
    ['ItemNotFound', 'KEY_NOT_FOUND', 'KEY_NOT_FOUND', 'KEY_NOT_FOUND'],
    ['ObjectNotFound', 'KEY_NOT_FOUND', 'KEY_NOT_FOUND', 'KEY_NOT_FOUND'],
    ['ObjectDestroyed', 'KEY_NOT_FOUND', 'KEY_NOT_FOUND', 'KEY_NOT_FOUND'],
    ['PermissionDenied', 'OPERATION_FORBIDDEN', 'OPERATION_FORBIDDEN', 'OPERATION_FORBIDDEN'],
    ['NotAuthorised', 'OPERATION_FORBIDDEN', 'OPERATION_FORBIDDEN', 'OPERATION_FORBIDDEN'],
    ['IncompatibleCryptographicUsageMask', 'OPERATION_FORBIDDEN', 'OPERATION_FORBIDDEN', 'OPERATION_FORBIDDEN'],
    ['WrongKeyLifecycleState', 'KEY_DISABLED', 'KEY_DISABLED', 'KEY_DISABLED'],
    ['ObjectArchived', 'KEY_DISABLED', 'KEY_DISABLED', 'KEY_DISABLED'],
    ['CryptographicFailure', 'BACKEND_UNAVAILABLE', 'BACKEND_UNAVAILABLE', 'CIPHERTEXT_INVALID'],
    ['GeneralFailure', 'BACKEND_UNAVAILABLE', 'BACKEND_UNAVAILABLE', 'UNCLEAR'],
    ['InvalidField', 'BACKEND_UNAVAILABLE', 'ALGORITHM_UNSUPPORTED', 'UNCLEAR'],
    ['OperationNotSupported', 'BACKEND_UNAVAILABLE', 'ALGORITHM_UNSUPPORTED', 'ALGORITHM_UNSUPPORTED'],
    ['UnsupportedCryptographicParameters', 'BACKEND_UNAVAILABLE', 'ALGORITHM_UNSUPPORTED', 'ALGORITHM_UNSUPPORTED'],
    ['InvalidObjectType', 'KEY_UNSUPPORTED', 'KEY_UNSUPPORTED', 'KEY_UNSUPPORTED'],
    ['ServerLimitExceeded', 'BACKEND_BUSY', 'BACKEND_BUSY', 'BACKEND_BUSY'],
    ['AuthenticationNotSuccessful', 'BACKEND_UNAVAILABLE', 'BACKEND_UNAVAILABLE', 'BACKEND_UNAVAILABLE'],
  ])('%s is %s for describe, %s for wrap, %s for unwrap', (reason, ...expected) => {
    expect(meanings(resultReason[reason])).toEqual(expected)
  })

  it('that is unknown counts as the server’s failure', () => {
    expect(meanings(0x80000001)).toEqual(uses.map(() => 'BACKEND_UNAVAILABLE'))
  })

  it('that has a name has a meaning of its own, except reasons of a failing server', () => {
    const other: readonly string[] = ['ObjectAlreadyExists']
    const silent: number[] = [
      resultReason.ResponseTooLarge,
      resultReason.AuthenticationNotSuccessful,
      resultReason.InvalidMessage,
      resultReason.InternalServerError,
      resultReason.UnsupportedProtocolVersion,
    ]
    for (const [name, reason] of Object.entries(resultReason)) {
      if (other.includes(name) || silent.includes(reason)) continue
      expect(new Set(meanings(reason)), name).not.toEqual(new Set(['BACKEND_UNAVAILABLE']))
    }
  })

  it('puts its number into the error for the log, and a retry time only if the server is busy', () => {
    const refusal = new KmipRefusal(operation.Decrypt, resultReason.ServerLimitExceeded)
    expect(refusalError(refusal, 'BACKEND_BUSY')).toMatchObject({
      code: 'BACKEND_BUSY',
      detail: 0x3a,
      retryAfterSeconds: 1,
    })
    expect(refusalError(refusal, 'KEY_DISABLED').retryAfterSeconds).toBeUndefined()
  })
})
