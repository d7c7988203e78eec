/** Every check by its stable id, and what it checks. Automation relies on the ids: none changes its meaning. */
export const checks = {
  'configuration.valid': 'the configuration, and every file and variable that it names, can be used',
  'configuration.user': "the check runs as the gateway's own user",
  'configuration.client-auth': 'clients must show a certificate',
  'configuration.admin': 'only this machine, or who has a token, can read the admin port',
  'configuration.writable': 'nobody else can change what the gateway trusts',
  'configuration.log': "the log's destination can be written to",
  'configuration.descriptors': 'as many descriptors may be open as the connections and backends need',
  'secrets.permissions': 'nobody else can read the secret files',

  'certificate.chain-order': "the server's own certificate comes first, and each issuer's follows",
  'certificate.chain-complete': 'the certificates lead to the root that Azure trusts',
  'certificate.key-match': 'the private key belongs to the certificate',
  'certificate.expiry': 'each certificate of the chain is valid now, and for 30 days',
  'certificate.name': 'the certificate names the host that Azure calls',
  'certificate.public-key': 'the keys in the chain are strong, and of types that Azure takes',
  'certificate.signature': 'the signatures in the chain cannot be forged',
  'certificate.usage': 'the certificate is for a server, and its issuers are CAs',
  'certificate.azure': 'the certificate meets every requirement of Managed HSM',

  'clients.names': "the names that a client's certificate must have",
  'clients.roots': 'each root and issuing CA of the allow-list is valid now, and for 30 days',
  'clients.strength': 'keys and signatures of these CAs cannot be forged',
  'clients.shared': 'no client may use two pools',
  'clients.revocation': 'each CA has a current revocation list',
  'clients.drift': 'the allow-list equals what Azure shows today',

  'listener.port': 'the port is free, or in use by this gateway',
  'listener.running': 'the server at the port is a gateway with this certificate',
  'tls.chain': 'the server sends this certificate and its chain',
  'tls.version': 'TLS 1.3 is spoken, and nothing older',
  'tls.suites': 'the two suites of the EKM Proxy API are offered, and no other',

  'clock.plausible': 'the clock fits the dates of certificates and files',
  'clock.synchronised': 'the system reports that its clock is synchronised',

  'backend.open': 'the backend is reachable and lets the gateway in',
  'backend.version': 'the backend says which product and version it is',
  'backend.kind': 'the backend keeps its keys to itself',
  'backend.servers': 'each server of the backend answers',
  'backend.certificates': 'the certificates for the backend are valid now, and for 30 days',
  'backend.sessions': 'the configured number of sessions can be opened',
  'backend.latency': 'a wrap and an unwrap finish within the deadline',

  'key.found': 'the backend has the key, it is in use, and the API knows its type and size',
  'key.unique': 'exactly one key of the backend has this name',
  'key.near-miss': 'no other key of the backend has nearly this name',
  'key.expiry': 'the key may be used for 30 more days',
  'key.exposed': 'the key cannot leave the backend',
  'key.way': 'each algorithm has a way whose results are right',
  'key.round-trip': 'a random data key is the same after a wrap and an unwrap',
} as const satisfies Record<string, string>

export type CheckId = keyof typeof checks

/** In the order of the documentation. */
export const checkIds = Object.keys(checks) as readonly CheckId[]

/** Whether `only` names the check or its group, the word before the dot. An empty `only` means everything. */
export const isWanted = (id: CheckId, only: readonly string[]): boolean =>
  only.length === 0 || only.some((name) => id === name || id.startsWith(`${name}.`))

/** The word before the dot. */
export const groupOf = (id: CheckId): string => id.slice(0, id.indexOf('.'))

/** The heading of the group that the id begins with. */
export const sectionOf = (id: CheckId): string => sections[groupOf(id)] ?? groupOf(id)

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
