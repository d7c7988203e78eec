import type { KmipOptions } from '../../../adapters/kmip/index.ts'

/** The section of a gateway's configuration for the servers of `options`, and the files that it names. */
export const kmipSection = ({ servers, tls: { ca, certificate, key } }: KmipOptions, connections: number) => ({
  backend: {
    kind: 'kmip',
    servers: servers.map(({ host, port }) => `${host}:${port}`),
    tls: { ca: 'kmip-ca.pem', certificate: 'kmip.pem', key: 'kmip.key' },
    connections,
  },
  files: {
    'kmip-ca.pem': Buffer.from(ca).toString(),
    'kmip.pem': Buffer.from(certificate).toString(),
    'kmip.key': Buffer.from(key.reveal()).toString(),
  },
})
