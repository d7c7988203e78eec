import { context, DerError, DerReader, hasBit, tags } from './der.ts'
import { generalNamesOf, keyOf, nameOf, type GeneralName, type Name } from './names.ts'

/** Every reason for revocation, as bits of `ReasonFlags`. */
export const ALL_REASONS = 0x1fe

/** A point of `cRLDistributionPoints` (RFC 5280 section 4.2.1.13). */
export interface DistributionPoint {
  /** Undefined if the point has none. A name relative to the issuer's is completed. */
  readonly names?: readonly GeneralName[]
  /** Undefined means all reasons. The bits are those of `ReasonFlags`. */
  readonly reasons?: number
  readonly cRLIssuer?: readonly GeneralName[]
}

/**
 * @param content of a `DistributionPoint`
 * @param issuer the issuer of the certificate that contains it
 */
export function distributionPointOf(content: Buffer, issuer: Name): DistributionPoint {
  const reader = new DerReader(content)
  const name = reader.optional(context(0, true))
  const reasons = reader.optional(context(1))
  const cRLIssuer = reader.optional(context(2, true))
  reader.end()
  const issuers = cRLIssuer && generalNamesOf(cRLIssuer)
  const [holder] = issuers?.flatMap((named) => (named.kind === 'directory' ? [named.name] : [])) ?? []
  return {
    ...(name && { names: pointNamesOf(name, holder ?? issuer) }),
    ...(reasons && { reasons: reasonsOf(reasons) }),
    ...(issuers && { cRLIssuer: issuers }),
  }
}

/** The names of a `DistributionPointName`. A name relative to `issuer` is completed. */
export function pointNamesOf(content: Buffer, issuer: Name): GeneralName[] {
  const reader = new DerReader(content)
  const full = reader.optional(context(0, true))
  if (full !== undefined) return generalNamesOf(full)
  const relative = reader.take(context(1, true))
  const last = nameOf(encodedSet(relative))
  const rdns = [...issuer.rdns, ...last.rdns]
  return [{ kind: 'directory', name: { ...last, rdns, key: keyOf(rdns) } }]
}

/** Encodes a relative distinguished name as a SET again. In the point it has another tag. */
function encodedSet(content: Buffer): Buffer {
  if (content.length > 0xffff) throw new DerError('a relative name is too long')
  const long = content.length > 0xff
  const length = content.length < 0x80 ? [content.length] : long ? [0x82, content.length >> 8] : [0x81]
  if (content.length >= 0x80) length.push(content.length & 0xff)
  return Buffer.concat([Buffer.of(tags.set, ...length), content])
}

/** The bits of `ReasonFlags`, without bit 0, which is unused. */
export function reasonsOf(content: Buffer): number {
  let reasons = 0
  for (let bit = 1; bit <= 8; bit += 1) if (hasBit(content, bit)) reasons |= 1 << bit
  return reasons
}
