import { describe, expect, it } from 'vitest'
import { parsePkcs11Uri, Pkcs11UriError } from '../../adapters/pkcs11/names/pkcs11-uri.ts'

describe('a pkcs11: URI (RFC 7512)', () => {
  it.each([
    { text: 'pkcs11:', uri: {} },
    { text: 'pkcs11:object=my-pubkey;type=public', uri: { object: 'my-pubkey', type: 'public' } },
    { text: 'pkcs11:token=The%20Software%20PKCS%2311%20Softtoken', uri: { token: 'The Software PKCS#11 Softtoken' } },
    {
      text: 'pkcs11:token=a;manufacturer=b;serial=c;model=d;object=e;id=%66;type=secret-key;slot-id=327',
      uri: {
        token: 'a',
        manufacturer: 'b',
        serial: 'c',
        model: 'd',
        object: 'e',
        id: Uint8Array.of(0x66),
        type: 'secret-key',
        slotId: 327n,
      },
    },
    { text: 'pkcs11:slot-id=18446744073709551615', uri: { slotId: 18446744073709551615n } },
    {
      text: 'pkcs11:object=k?module-path=/usr/lib/a.so&module-name=a&pin-source=file:/etc/pin',
      uri: { object: 'k', modulePath: '/usr/lib/a.so', moduleName: 'a', pinSource: 'file:/etc/pin' },
    },
    { text: 'pkcs11:id=%00%ffA%0a', uri: { id: Uint8Array.of(0, 0xff, 0x41, 0x0a) } },
    { text: 'pkcs11:object=%3B%3F%26%25', uri: { object: ';?&%' } },
    { text: "pkcs11:object=a:[]@!$'()*+,=&b", uri: { object: "a:[]@!$'()*+,=&b" } },
    { text: 'pkcs11:object=', uri: { object: '' } },
    { text: 'pkcs11:object=%E2%82%AC', uri: { object: '€' } },
    { text: 'pkcs11:?pin-source=|/usr/bin/pin', uri: { pinSource: '|/usr/bin/pin' } },
  ])('is read: $text', ({ text, uri }) => {
    expect(parsePkcs11Uri(text)).toEqual(uri)
  })

  it.each([
    'pkcs12:object=a',
    'object=a',
    'pkcs11:object',
    'pkcs11:=a',
    'pkcs11:object=a;;id=%01',
    'pkcs11:object=a;',
    'pkcs11:object=a;object=b',
    'pkcs11:object=a b',
    'pkcs11:object=a/b',
    'pkcs11:object=ä',
    'pkcs11:object=%4',
    'pkcs11:object=%zz',
    'pkcs11:object=%ff',
    'pkcs11:object=a#b',
    'pkcs11:type=key',
    'pkcs11:slot-id=0x1',
    'pkcs11:slot-id=-1',
    'pkcs11:library-version=2.6;object=a',
    'pkcs11:x-vendor=1',
    'pkcs11:object=a?pin-value=1234',
    'pkcs11:object=a?unknown=1',
    'pkcs11:object=a?module-name=a&module-name=b',
    'pkcs11:object=a?module-name=a;b',
  ])('is refused: %s', (text) => {
    expect(() => parsePkcs11Uri(text)).toThrow(Pkcs11UriError)
  })

  it('is refused without repeating its content', () => {
    for (const text of ['pkcs11:object=a?pin-value=73519', 'pkcs11:object=73519 x', 'pkcs11:73519']) {
      expect(() => parsePkcs11Uri(text)).toThrow(expect.not.objectContaining({ message: /73519/ }))
    }
  })
})
