/** Every check by its stable id, with what it looks at. Automation names these: none changes its meaning. */
export const checks = {
  'configuration.valid': 'the configuration file, and every file and variable that it names',
  'configuration.client-auth': 'clients must show a certificate',
  'configuration.writable': 'nobody else can change what the gateway trusts',
  'configuration.log': "the log's destination can be written to",
  'secrets.permissions': 'nobody else can read the secret files',

  'certificate.chain-order': "the server's own certificate comes first, then each one's issuer",
  'certificate.chain-complete': 'the certificates lead to the root that Azure is told',
  'certificate.key-match': 'the private key belongs to the certificate',
  'certificate.expiry': 'each certificate of the chain is valid now, and for 30 days',
  'certificate.name': 'the certificate names the host that Azure is told',
  'certificate.public-key': 'type and size of the keys in the chain',
  'certificate.signature': 'the algorithms that the chain is signed with',
  'certificate.usage': 'the certificate is for a server, and its issuers are CAs',
  'certificate.azure': 'what Managed HSM asks of the certificate, all together',

  'clients.names': "the names that a client's certificate must have",
  'clients.roots': 'each root and issuing CA of the allow-list is valid now, and for 30 days',
  'clients.strength': 'keys and signatures of these CAs cannot be forged',
  'clients.shared': 'no client may use two pools',
  'clients.revocation': 'a current list tells which certificates each CA revoked',
  'clients.drift': 'the allow-list is what Azure shows today',

  'listener.port': 'the port is free, or in use by this gateway',
  'listener.running': 'what answers at the port is a gateway with this certificate',
  'tls.chain': 'the server sends this certificate and its chain',
  'tls.version': 'TLS 1.3 is spoken, and nothing older',
  'tls.suites': 'the two suites of the EKM Proxy API are offered, and no other',

  'clock.plausible': 'the clock fits the dates of certificates and files',
  'clock.synchronised': 'the system says that its clock is synchronised',

  'backend.open': 'the backend is reachable and lets the gateway in',
  'backend.version': 'what the backend is',
  'backend.kind': 'the backend keeps its keys to itself',
  'backend.servers': 'each server of the backend answers',
  'backend.certificates': 'the certificates for the backend are valid now, and for 30 days',
  'backend.sessions': 'as many sessions as are configured can be had',
  'backend.latency': 'a wrap and an unwrap take their time within the deadline',

  'key.found': 'the backend has the key, of a type and size that the API knows, in use',
  'key.unique': 'one key of the backend has this name',
  'key.near-miss': 'no key of the backend has nearly this name',
  'key.expiry': 'the key may be used for 30 more days',
  'key.exposed': 'the key cannot leave the backend',
  'key.way': 'each algorithm has a way that gives right results',
  'key.round-trip': 'a random data key comes back as it was',
} as const satisfies Record<string, string>

export type CheckId = keyof typeof checks

/** In the order in which the documentation lists them. */
export const checkIds = Object.keys(checks) as readonly CheckId[]

/** Whether `only` names the check, or the group before its dot; everything is wanted where it names nothing. */
export const isWanted = (id: CheckId, only: readonly string[]): boolean =>
  only.length === 0 || only.some((name) => id === name || id.startsWith(`${name}.`))

/** What the ids have in common before the dot, as headings. */
export const sectionOf = (id: CheckId): string => {
  const [group = ''] = id.split('.')
  return sections[group] ?? group
}

const sections: Readonly<Record<string, string>> = {
  configuration: 'Configuration and secrets',
  secrets: 'Configuration and secrets',
  certificate: 'Server certificate',
  clients: 'Clients',
  listener: 'Port and TLS',
  tls: 'Port and TLS',
  clock: 'Clock',
  backend: 'Backends and keys',
  key: 'Backends and keys',
}
