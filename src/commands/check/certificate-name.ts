import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { CertificateQuestion } from './certificate-chain.ts'
import type { Findings, More } from './findings.ts'

const ID = 'certificate.name'

/** Whether the certificate has the name that Azure is told: as host, or as the server's common name in its place. */
export function checkName(
  leaf: X509Certificate,
  { fqdn, serverCn }: Pick<CertificateQuestion, 'fqdn' | 'serverCn'>,
  findings: Findings,
): void {
  const names = leaf.subjectAltName ?? 'no subject alternative name'
  const more = { fields: { names } }
  if (serverCn !== undefined) checkCommonName(leaf, serverCn, more, findings)
  else if (fqdn === undefined) {
    findings.notChecked(ID, `the certificate names ${names}`, {
      ...more,
      advice: 'give the --host of az with --fqdn',
    })
  } else if (isIP(fqdn) !== 0) checkAddress(leaf, fqdn, names, more, findings)
  else if (leaf.checkHost(fqdn, { subject: 'never' }) !== undefined) {
    findings.ok(ID, `the certificate names ${fqdn}`, more)
  } else if (leaf.checkHost(fqdn, { subject: 'always' }) !== undefined) {
    findings.warning(ID, `only the common name is ${fqdn}; subject alternative name: ${names}`, {
      ...more,
      advice: 'Microsoft asks for a subject alternative name: have the certificate reissued with one',
    })
  } else {
    findings.problem(ID, `the certificate does not name ${fqdn}, but ${names}`, {
      ...more,
      advice: 'have it reissued for that name, or create a new connection in Azure with the name that it has',
      command: `az keyvault ekm-connection show --hsm-name HSM --query host`,
    })
  }
}

function checkAddress(leaf: X509Certificate, address: string, names: string, more: More, findings: Findings): void {
  if (leaf.checkIP(address) !== undefined) findings.ok(ID, `the certificate names ${address}`, more)
  else {
    findings.problem(ID, `the certificate does not name the address ${address}, but ${names}`, {
      ...more,
      advice:
        "tell Azure the server's common name beside an address, and give it here as --server-cn; or have a certificate " +
        'issued for the address',
    })
  }
}

function checkCommonName(leaf: X509Certificate, wanted: string, more: More, findings: Findings): void {
  const names = commonNamesOf(leaf)
  const found = names.length === 0 ? 'no common name' : `the common name ${names.join(', ')}`
  if (names.some((name) => name.toLowerCase() === wanted.toLowerCase())) {
    findings.ok(ID, `the certificate has ${found}, as Azure is told`, more)
  } else {
    findings.problem(ID, `the certificate has ${found}, and not ${wanted}`, {
      ...more,
      advice: 'have it reissued with that common name, or create a new connection in Azure with the one that it has',
      command: `az keyvault ekm-connection show --hsm-name HSM`,
    })
  }
}

const commonNamesOf = ({ subject }: X509Certificate): string[] =>
  Array.from((subject ?? '').matchAll(/^CN=(.+)$/gm), ([, name = '']) => name)
