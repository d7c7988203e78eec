import { X509Certificate } from 'node:crypto'
import { issue } from './certificates.ts'
import type { ClientIdentity } from './target.ts'

export interface Impostor extends ClientIdentity {
  readonly what: string
}

/**
 * Certificates with the subject common name of `client` that no allowed root has issued: from a root of the suite, from
 * a root with the right root's name, and self-signed. They are made during the run, so they need no option.
 */
export function impostorsOf(client: ClientIdentity): readonly Impostor[] {
  const impostors = made.get(client) ?? makeImpostors(client)
  made.set(client, impostors)
  return impostors
}

const made = new WeakMap<ClientIdentity, readonly Impostor[]>()

function makeImpostors(client: ClientIdentity): Impostor[] {
  const right = new X509Certificate(client.certificate)
  const commonName = commonNameIn(right.subject) ?? 'client'
  const root = issue({ commonName: 'conformance test CA', usage: 'authority' })
  const namesake = issue({ commonName: commonNameIn(right.issuer) ?? 'root', usage: 'authority' })
  const wanted = { commonName, usage: 'client' } as const
  return [
    { what: 'the right name, from another root', ...issue(wanted, root) },
    { what: "the right name, from a root with the right root's name", ...issue(wanted, namesake) },
    { what: 'the right name, self-signed', ...issue(wanted) },
  ]
}

/** Finds the CN in a name as Node.js prints it: one attribute a line. */
const commonNameIn = (name: string): string | undefined => /^CN=(.+)$/m.exec(name)?.[1]
