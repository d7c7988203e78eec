import * as v from 'valibot'
import { Credentials } from '../settings/credentials.ts'
import { network } from './networks.ts'
import { ticketKeyFile } from './ticket-keys.ts'
import {
  about,
  file,
  integer,
  listOf,
  mapping,
  oneOf,
  pemFile,
  secret,
  text,
  type References,
} from '../settings/fields.ts'

const tls = (references: References) =>
  v.pipe(
    mapping({
      certificate: v.exactOptional(
        about(
          'PEM or DER file of the server certificate, followed by its intermediates. It must name the host that Azure calls.',
          pemFile(references),
          'server.pem',
        ),
      ),
      key: v.exactOptional(
        about("PEM file of the server certificate's private key.", file(references, { holds: 'secret' }), 'server.key'),
      ),
      pkcs12: v.exactOptional(
        about(
          'PKCS#12 file with certificate and key, instead of the two PEM files.',
          file(references, { holds: 'secret' }),
          'server.p12',
        ),
      ),
      passphrase: v.exactOptional(
        about('The passphrase of the private key or of the PKCS#12 file.', secret(references), {
          file: 'server.passphrase',
        }),
      ),
    }),
    v.rawTransform(({ dataset, addIssue, NEVER }): Credentials => {
      const { certificate, key, pkcs12, passphrase } = dataset.value
      const pem = certificate && key && { cert: certificate, key }
      const pair = pkcs12 ? { pfx: pkcs12 } : pem
      if (pair === undefined || (pkcs12 !== undefined && (certificate !== undefined || key !== undefined))) {
        addIssue({ message: 'must have either certificate and key (PEM), or pkcs12' })
        return NEVER
      }
      const credentials = new Credentials(passphrase ? { ...pair, passphrase } : pair)
      const problem = credentials.serverProblem()
      if (problem === undefined) return credentials
      addIssue({ message: `does not hold a usable certificate and key: ${problem}` })
      return NEVER
    }),
  )

/** The section `listen`: where and how the EKM Proxy API is served. */
export const listen = (references: References) =>
  mapping({
    host: v.optional(about('The address to listen on.', text()), '0.0.0.0'),
    port: v.optional(about('The TCP port to listen on; 0 lets the system choose.', integer(0, 65535)), 8443),
    tls: about("The server's certificate and private key.", tls(references), {
      certificate: 'server.pem',
      key: 'server.key',
    }),
    clientAuth: v.optional(
      about(
        'How to refuse a client whose certificate no pool trusts: "required" answers 401, "handshake" ends the handshake. "disabled" lets everybody in and is for development only.',
        oneOf(['required', 'handshake', 'disabled']),
      ),
      'required',
    ),
    proxyProtocol: v.optional(
      about(
        'IP addresses and networks of load balancers that send a PROXY header, version 1 or 2, before TLS. The header is required from them, and refused from anyone else.',
        listOf(network()),
        ['10.0.0.0/8'],
      ),
      [],
    ),
    ticketKeys: v.exactOptional(
      about(
        "The keys of TLS session tickets, for gateways that resume each other's sessions. By default random at each start.",
        mapping({
          file: about(
            'A file of 48 secret bytes, raw, in base64 or in hexadecimal.',
            ticketKeyFile(references),
            'tickets.key',
          ),
        }),
      ),
    ),
  })
