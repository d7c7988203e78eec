import { issue, type Authority, type CertificateRequest, type Identity } from '../src/certificates.ts'

export const CLIENT_CN = 'contoso.managedhsmclient.azure.net'

/** The certificates of one test file. */
export interface Pki {
  readonly serverCa: Authority
  readonly server: Identity
  readonly clientCa: Authority
  readonly client: Identity
}

export function makePki(): Pki {
  const serverCa = issue({ commonName: 'test server CA', usage: 'authority' })
  const clientCa = issue({ commonName: 'test client CA', usage: 'authority' })
  return {
    serverCa,
    server: issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost'] }, serverCa),
    clientCa,
    client: makeClient(clientCa),
  }
}

export const makeClient = (authority: Authority, changes: Partial<CertificateRequest> = {}): Identity =>
  issue({ commonName: CLIENT_CN, usage: 'client', ...changes }, authority)
