import { resultReason } from "../../../adapters/kmip/protocol/numbers.js";
import { kmipVersions } from "../../../adapters/kmip/protocol/version.js";
export const cosmianLike = {
    versions: kmipVersions,
    ecb: 'None',
    keyWrap: 'right',
    oaep: true,
    defaultMgfHash: 'same',
    links: true,
    exports: false,
    publicFormat: 'PKCS1',
    readsLists: true,
    reasons: {
        notFound: resultReason.ItemNotFound,
        notDescribed: resultReason.ObjectNotFound,
        wrongState: resultReason.PermissionDenied,
        missingMask: resultReason.ItemNotFound,
        unsupported: resultReason.OperationNotSupported,
        badCiphertext: resultReason.CryptographicFailure,
        notExportable: resultReason.Sensitive,
    },
};
/** A server with the reasons that KMIP 2.1 lists for the same. */
export const versionTwoReasons = {
    notFound: resultReason.ObjectNotFound,
    notDescribed: resultReason.ObjectNotFound,
    wrongState: resultReason.WrongKeyLifecycleState,
    missingMask: resultReason.IncompatibleCryptographicUsageMask,
    unsupported: resultReason.UnsupportedCryptographicParameters,
    badCiphertext: resultReason.CryptographicFailure,
    notExportable: resultReason.NotExtractable,
};
/** An operation says no. */
export class Refused extends Error {
    reason;
    constructor(reason) {
        super(`refused: 0x${reason.toString(16)}`);
        this.reason = reason;
    }
}
