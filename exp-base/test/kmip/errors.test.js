import { describe, expect, it } from 'vitest';
import { meaningOf, refusalError } from "../../adapters/kmip/errors.js";
import { operation, resultReason } from "../../adapters/kmip/protocol/numbers.js";
import { KmipRefusal } from "../../adapters/kmip/protocol/operation.js";
const uses = ['describe', 'wrap', 'unwrap'];
const meanings = (reason) => uses.map((use) => meaningOf(new KmipRefusal(operation.Encrypt, reason), use));
describe('a result reason means the same wherever it is met', () => {
    it.each([
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
    ])('%s', (reason, ...expected) => {
        expect(meanings(resultReason[reason])).toEqual(expected);
    });
    it('and one that nobody has heard of is the server’s failure', () => {
        expect(meanings(0x80000001)).toEqual(uses.map(() => 'BACKEND_UNAVAILABLE'));
    });
    it('every reason that has a name has a row', () => {
        const other = ['ObjectAlreadyExists'];
        const silent = [
            resultReason.ResponseTooLarge,
            resultReason.AuthenticationNotSuccessful,
            resultReason.InvalidMessage,
            resultReason.InternalServerError,
            resultReason.UnsupportedProtocolVersion,
        ];
        for (const [name, reason] of Object.entries(resultReason)) {
            if (other.includes(name) || silent.includes(reason))
                continue;
            expect(new Set(meanings(reason)), name).not.toEqual(new Set(['BACKEND_UNAVAILABLE']));
        }
    });
    it('the error carries the number for the log, and a time only for being busy', () => {
        const refusal = new KmipRefusal(operation.Decrypt, resultReason.ServerLimitExceeded);
        expect(refusalError(refusal, 'BACKEND_BUSY')).toMatchObject({
            code: 'BACKEND_BUSY',
            detail: 0x3a,
            retryAfterSeconds: 1,
        });
        expect(refusalError(refusal, 'KEY_DISABLED').retryAfterSeconds).toBeUndefined();
    });
});
