/** Best first: what the newer ones add, such as the hash of MGF1, is of use. */
export const kmipVersions = ['2.1', '2.0', '1.4', '1.3', '1.2'];
/** KMIP 2.x names attributes by tag; 1.x names them by text (KMIP 2.0 §3, "Attribute encoding"). */
export const isVersion2 = (version) => version.startsWith('2.');
export const majorAndMinor = (version) => {
    const [major = '', minor = ''] = version.split('.');
    return [Number(major), Number(minor)];
};
