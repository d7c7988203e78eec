import {
  issue,
  type Authority,
  type CertificateRequest,
  type Identity,
} from '../../src/commands/quickstart/certificates.ts'

export { issue, type Authority, type Identity }

export const CLIENT_CN = 'contoso.managedhsmclient.azure.net'
const DAY_MS = 24 * 3_600_000

/** The certificates of a test file: a server, and clients of one root that are valid or wrong in one respect. */
export interface Pki {
  readonly serverCa: Authority
  readonly server: Identity
  readonly clientCa: Authority
  readonly client: Identity
}

export async function makePki(): Promise<Pki> {
  const serverCa = await issue({ commonName: 'test server CA', usage: 'authority' })
  const server = await issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost', '127.0.0.1'] }, serverCa)
  const clientCa = await issue({ commonName: 'test client CA', usage: 'authority' })
  const client = await issue({ commonName: CLIENT_CN, usage: 'client' }, clientCa)
  return { serverCa, server, clientCa, client }
}

export const makeClient = (authority: Authority | undefined, changes: Partial<CertificateRequest> = {}) =>
  issue({ commonName: CLIENT_CN, usage: 'client', ...changes }, authority)

/** A client that sends its certificate with an issuing CA unknown to the server. */
export async function makeClientBehindIntermediate(root: Authority, changes: Partial<CertificateRequest> = {}) {
  const intermediate = await issue({ commonName: 'test issuing CA', usage: 'authority' }, root)
  const leaf = await makeClient(intermediate, changes)
  return { certificate: leaf.certificate + intermediate.certificate, key: leaf.key }
}

export const yesterday = () => new Date(Date.now() - DAY_MS)
export const tomorrow = () => new Date(Date.now() + DAY_MS)
