import { X509Certificate } from 'node:crypto'
import { DerError, DerReader } from '../x509/der.ts'
import { decodeText } from './text-file.ts'

const BEGIN = '-----BEGIN CERTIFICATE-----'

/** Every certificate in the bytes of a file, PEM or DER; `undefined` if there is none, or one of them is damaged. */
export function parseCertificates(bytes: Uint8Array): X509Certificate[] | undefined {
  const text = decodeText(bytes)
  try {
    const found = text.includes('-----BEGIN ') ? pemBlocks(text) : derElements(Buffer.from(bytes))
    return found.length === 0 ? undefined : found.map((one) => new X509Certificate(one))
  } catch {
    return undefined
  }
}

function pemBlocks(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length !== text.split(BEGIN).length - 1) throw new DerError('a block has no end')
  return blocks
}

/** One behind the other. What a shell wrote ends with a line. */
function derElements(bytes: Buffer): Buffer[] {
  const found: Buffer[] = []
  const reader = new DerReader(bytes)
  let rest = bytes
  while (rest.toString('latin1').trim() !== '') {
    const { encoding } = reader.next()
    found.push(encoding)
    rest = rest.subarray(encoding.length)
  }
  return found
}

/** The certificates in the bytes of a file that was read already; none if one of them is damaged. */
export const certificatesIn = (bytes: Uint8Array): readonly X509Certificate[] => parseCertificates(bytes) ?? []

/** The same certificates as OpenSSL takes them, PEM in ASCII. What holds none is given back as it is. */
export function toPem(bytes: Buffer): Buffer {
  if (bytes.includes('-----BEGIN ')) return bytes
  const found = parseCertificates(bytes)
  return found === undefined ? bytes : Buffer.from(found.map(String).join(''))
}

/** Whether the bytes are a PKCS#12 file: a sequence, of DER or BER, that begins with version 3 (RFC 7292 section 4). */
export function isPkcs12(bytes: Uint8Array): boolean {
  const [tag, length = 0] = bytes
  const start = length < 0x80 ? 2 : 2 + (length & 0x7f)
  return tag === 0x30 && Buffer.from(bytes.subarray(start, start + 3)).equals(Buffer.of(2, 1, 3))
}
