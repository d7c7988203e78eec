import { child, enumeration } from '../../ttlv-codec/src/index.ts'
import { versionItem } from './message.ts'
import { operation, queryFunction, tag } from './numbers.ts'
import type { KmipOperation } from './operation.ts'
import { kmipVersions, type KmipVersion } from './version.ts'

/** The versions of `offered` that the server supports (KMIP 1.4 §4.26). */
export const discoverVersions = (offered: readonly KmipVersion[]): KmipOperation<readonly KmipVersion[]> => ({
  code: operation.DiscoverVersions,
  repeatable: true,
  payload: () => offered.map(versionItem),
  read: (payload) => {
    const said = payload.value.map((item) => {
      if (item.tag !== tag.ProtocolVersion || item.type !== 'Structure') return ''
      const major = child(item, tag.ProtocolVersionMajor, 'Integer')?.value
      const minor = child(item, tag.ProtocolVersionMinor, 'Integer')?.value
      return `${major}.${minor}`
    })
    return kmipVersions.filter((version) => offered.includes(version) && said.includes(version))
  },
})

export interface ServerCapabilities {
  readonly operations: ReadonlySet<number>
  /** The server's own text about who made it. */
  readonly vendor?: string
}

/** Asks what the server can do, and who made it (KMIP 1.4 §4.25). */
export const query: KmipOperation<ServerCapabilities> = {
  code: operation.Query,
  repeatable: true,
  payload: () => [
    enumeration(tag.QueryFunction, queryFunction.Operations),
    enumeration(tag.QueryFunction, queryFunction.ServerInformation),
  ],
  read: (payload) => {
    const vendor = child(payload, tag.VendorIdentification, 'TextString')?.value
    const operations = payload.value.flatMap((item) =>
      item.tag === tag.Operation && item.type === 'Enumeration' ? [item.value] : [],
    )
    return { operations: new Set(operations), ...(vendor !== undefined && { vendor }) }
  },
}
