import type { Question, SecretQuestion } from '../../backends/interview.ts'

/** What `init` asks whatever the backend is. */
export const questions = {
  hsm: { option: 'hsm-name', asks: 'name of your Managed HSM in Azure' },
  host: { option: 'host-name', asks: 'public host name that Azure calls' },
  prefix: {
    option: 'path-prefix',
    asks: 'path prefix that Azure is told; by default azureekm/ and the name of the Managed HSM',
    optionOnly: true,
  },
  address: { option: 'listen-host', asks: 'address to listen on', fallback: '0.0.0.0', optionOnly: true },
  port: { option: 'port', asks: 'port to listen on; Azure calls 443', fallback: '443' },
  adminPort: {
    option: 'admin-port',
    asks: 'port of health and metrics on 127.0.0.1, or none',
    fallback: '9464',
    optionOnly: true,
  },
  identity: {
    option: 'server-certificate',
    asks: 'where the server certificate comes from: own, request or trial',
  },
  certificate: {
    option: 'certificate',
    asks: 'file of the server certificate: PEM, with its intermediates behind it, or PKCS#12',
    fallback: 'server.pem',
  },
  key: { option: 'key', asks: 'PEM file of its private key', fallback: 'server.key' },
  passphrase: {
    secret: 'server-passphrase',
    asks: 'file that holds the passphrase of the key or of the PKCS#12 file',
    fallback: 'server.passphrase',
  },
  serverCa: {
    option: 'server-ca',
    asks: "PEM file of the server certificate's root CA, which Azure is told",
    fallback: 'server-ca.pem',
  },
  azFile: {
    option: 'az-file',
    asks: 'file with the output of az keyvault ekm-connection certificate show; - for names and roots by hand',
    fallback: 'azure-client.json',
  },
  clientName: { option: 'client-name', asks: "common name of the client's certificate" },
  clientCa: { option: 'client-ca', asks: 'PEM file of the root CA that issues it, with its intermediates' },
  kind: { option: 'backend', asks: 'where the keys are' },
  newKeys: {
    option: 'create-key',
    asks: 'keys to make, such as kek-1:AES or kek-1:RSA-3072; several with commas',
  },
  keys: {
    option: 'keys',
    asks: 'keys that Azure may use: names with commas, all, or NAME=KEY for another name in Azure',
  },
} as const satisfies Record<string, Question | SecretQuestion>
