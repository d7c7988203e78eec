import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { expect, it } from 'vitest'
import { RevocationList } from '../../src/x509/crl.ts'
import { Revocation } from '../../src/x509/revocation.ts'
import { PathSearch, SignatureChecks, SignatureMemory } from '../../src/x509/search.ts'
import { modernSignatures } from '../../src/x509/signature.ts'
import { parsed } from '../support/certify.ts'
import { derOf, makeList } from '../support/crl.ts'
import { issue, makeClient, type Authority } from '../support/pki.ts'
import { issuersOf } from './support.ts'

const issuing = (root: Authority) => issue({ commonName: 'issuing CA', usage: 'authority' }, root)

it('the CA that a list names by key is asked before others of its name', async () => {
  const root = await issue({ commonName: 'root', usage: 'authority' })
  const [old, ...others] = await Promise.all(Array.from({ length: 7 }, () => issuing(root)))
  const renewed = await issuing(root)
  const leaf = parsed(await makeClient(old))
  const by = await x509.AuthorityKeyIdentifierExtension.create(renewed.issuer.keys.publicKey)
  const lists = [await makeList(root), await makeList(renewed, { more: [by] })]
  const anchors = [root, old as Authority, ...others, renewed].map(parsed)
  const memory = new SignatureMemory(modernSignatures)
  const search = new PathSearch({
    issuers: { ...issuersOf(anchors, []), isAnchor: (certificate) => certificate === anchors[0] },
    signatures: new SignatureChecks(memory),
    revocation: new Revocation(
      lists.map((list) => new RevocationList(derOf(list))),
      'refuse',
    ),
    now: Date.now(),
  })
  expect(await search.find(leaf, 'clientAuth')).toMatchObject({ certificates: [leaf, anchors[1], anchors[0]] })
  // The leaf, its issuer, the list of each of the two names, and the path of the new CA.
  expect(memory.made).toBe(5)
})
