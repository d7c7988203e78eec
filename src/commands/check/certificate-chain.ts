import type { X509Certificate } from 'node:crypto'
import type { Findings } from './findings.ts'
import { readPrivateKey, type Chain } from './server-chain.ts'
import { quoted } from '../../base/shell.ts'
import { issued, nameOf } from './x509.ts'

export interface CertificateQuestion {
  /** The path of the certificate's file, for commands. */
  readonly file: string
  readonly keyFile: string | undefined
  /** As it is in the file. */
  readonly chain: Chain
  /** The position of the server's own certificate in it. */
  readonly own: number
  /** True if the operator chose the order. It is not so for a PKCS#12 file. */
  readonly ordered: boolean
  /** True if loading the configuration has proved that key and certificate belong together. */
  readonly keyBelongs: boolean
  readonly fqdn: string | undefined
  readonly serverCn: string | undefined
  readonly serverCa: readonly X509Certificate[] | undefined
}

export function checkKey({ file, keyFile, chain, keyBelongs }: CertificateQuestion, findings: Findings): void {
  if (keyBelongs) {
    findings.ok('certificate.key-match', 'the private key belongs to the certificate')
    return
  }
  const key = keyFile === undefined ? undefined : readPrivateKey(keyFile)
  if (keyFile === undefined || key === undefined) {
    findings.notChecked('certificate.key-match', 'the private key cannot be read, or needs a passphrase', {
      advice: 'make the configuration valid first',
    })
  } else if (chain.some((certificate) => certificate.checkPrivateKey(key))) {
    findings.ok('certificate.key-match', 'the private key belongs to a certificate of the file')
  } else {
    findings.problem('certificate.key-match', `${keyFile} does not belong to ${file}`, {
      advice: 'find the private key whose public key is in the certificate',
      command: `openssl x509 -noout -pubkey -in ${quoted(file)}; openssl pkey -pubout -in ${quoted(keyFile)}`,
    })
  }
}

export function checkOrder({ file, chain, own, ordered }: CertificateQuestion, findings: Findings): void {
  if (!ordered) {
    findings.notChecked('certificate.chain-order', 'OpenSSL itself orders the certificates of a PKCS#12 file')
    return
  }
  if (own > 0) {
    findings.problem('certificate.chain-order', `the server's own certificate is number ${own + 1} in ${file}`, {
      advice: "put it first, then its issuer's certificate, and so on up to the root",
      command: `openssl storeutl -noout -text -certs ${quoted(file)} | grep -E 'Subject:|Issuer:'`,
    })
    return
  }
  const stray = chain.findIndex((certificate, index) => {
    const below = chain[index - 1]
    return below !== undefined && !issued(certificate, below)
  })
  const at = chain[stray]
  if (at === undefined) {
    const words = chain.length === 1 ? 'one certificate' : `${chain.length} certificates, each followed by its issuer's`
    findings.ok('certificate.chain-order', words)
    return
  }
  findings.warning(
    'certificate.chain-order',
    `number ${stray + 1} in ${file}, ${nameOf(at)}, did not issue the one before it`,
    {
      advice:
        'put the issuers in order, and remove certificates that do not belong: not every client sorts them (RFC 8446 section 4.4.2)',
      command: `openssl storeutl -noout -text -certs ${quoted(file)} | grep -E 'Subject:|Issuer:'`,
    },
  )
}
