/** A protocol version that this adapter supports. */
export type KmipVersion = '1.2' | '1.3' | '1.4' | '2.0' | '2.1'

/** Newest first, because newer versions add useful fields, such as the hash of MGF1. */
export const kmipVersions: readonly KmipVersion[] = ['2.1', '2.0', '1.4', '1.3', '1.2']

/** KMIP 2.x names attributes by tag; 1.x names them by text (KMIP 2.0 §3, "Attribute encoding"). */
export const isVersion2 = (version: KmipVersion): boolean => version.startsWith('2.')

export const majorAndMinor = (version: KmipVersion): readonly [major: number, minor: number] => {
  const [major = '', minor = ''] = version.split('.')
  return [Number(major), Number(minor)]
}
