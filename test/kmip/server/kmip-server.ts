import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { operation, resultReason, resultStatus, tag } from '../../../adapters/kmip/protocol/numbers.ts'
import type { KmipVersion } from '../../../adapters/kmip/protocol/version.ts'
import { versionItem } from '../../../adapters/kmip/protocol/message.ts'
import {
  byteString,
  child,
  decode,
  encode,
  enumeration,
  FrameReader,
  integer,
  structure,
  textString,
  type Item,
  type ItemOf,
} from '../../../adapters/ttlv-codec/src/index.ts'
import { Refused, type Behaviour } from './behaviour.ts'
import { sendWith, type Fault } from './faults.ts'
import { Operations } from './operations.ts'

type Structure = ItemOf<'Structure'>

export interface Identity {
  readonly certificate: string
  readonly key: string
}

/** A KMIP server in this process, with faults that no real one shows on command. */
export class KmipTestServer {
  readonly operations: Operations
  /** Applied to every message that it matches, until it is removed. */
  fault: Fault | undefined
  /** The received messages, by the operation of their first item. */
  readonly received: number[] = []
  /** The number of TLS connections accepted so far. */
  accepted = 0
  /** Closes a connection after this many milliseconds of silence. */
  idleMs: number | undefined
  readonly #clientCa: string
  readonly #sockets = new Set<TLSSocket>()
  #identity: Identity
  #server: Server | undefined
  #port: number

  /** @param port to listen on; 0 lets the system choose */
  constructor(behaviour: Behaviour, identity: Identity, clientCa: string, port = 0) {
    this.#port = port
    this.operations = new Operations(behaviour)
    this.#identity = identity
    this.#clientCa = clientCa
  }

  get port(): number {
    return this.#port
  }

  /** Listens on loopback. After {@link stop} it uses the same port again, with another certificate if one is given. */
  async start(identity = this.#identity): Promise<void> {
    this.#identity = identity
    const server = createServer(
      {
        cert: identity.certificate,
        key: identity.key,
        ca: this.#clientCa,
        requestCert: true,
        rejectUnauthorized: true,
      },
      (socket) => this.#serve(socket),
    )
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, '127.0.0.1', resolve)
    })
    this.#port = (server.address() as AddressInfo).port
  }

  /** Ends every connection and stops listening. */
  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.dropConnections()
    if (server !== undefined) await new Promise((resolve) => server.close(resolve))
  }

  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** The open connections: the client's port, and the SHA-256 fingerprint of its certificate. */
  get peers(): { readonly port: number | undefined; readonly fingerprint: string }[] {
    return [...this.#sockets].map((socket) => ({
      port: socket.remotePort,
      fingerprint: socket.getPeerCertificate().fingerprint256,
    }))
  }

  #serve(socket: TLSSocket): void {
    // A handshake that completes after stop() would keep the server from closing.
    if (this.#server === undefined) {
      socket.destroy()
      return
    }
    this.accepted += 1
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    const reader = new FrameReader((frame) => this.#reply(socket, frame))
    socket.on('data', (chunk: Buffer) => reader.push(chunk))
  }

  #reply(socket: TLSSocket, frame: Uint8Array): void {
    const message = decode(frame)
    if (message.type !== 'Structure') return
    const items = message.value.filter(
      (item): item is Structure => item.tag === tag.BatchItem && item.type === 'Structure',
    )
    const codes = items.map((item) => child(item, tag.Operation, 'Enumeration')?.value ?? 0)
    this.received.push(codes[0] ?? 0)
    const fault =
      this.fault && (this.fault.operation === undefined || codes.includes(this.fault.operation))
        ? this.fault
        : undefined
    void this.#response(message, items, fault).then((reply) => {
      sendWith(fault?.kind, socket, encode(reply))
      if (this.idleMs !== undefined && socket.timeout === undefined) socket.setTimeout(this.idleMs, () => socket.end())
    })
  }

  async #response(message: Structure, items: readonly Structure[], fault: Fault | undefined): Promise<Item> {
    const header = child(message, tag.RequestHeader, 'Structure') ?? structure(0x420077, [])
    const version = versionOf(header)
    const { versions, credentials } = this.operations.behaviour
    const known = versions.find((candidate) => candidate === version)
    if (known === undefined) return response('1.0', [failure(undefined, resultReason.InvalidMessage)])
    if (credentials !== undefined && !authenticates(header, credentials)) {
      return response(known, [failure(undefined, resultReason.AuthenticationNotSuccessful)])
    }
    const answers = await Promise.all(items.map((item) => this.#answer(item, known, fault)))
    const shown = fault?.kind === 'replies reordered' ? answers.reverse() : answers
    return response(known, shown, shown.length + (fault?.kind === 'wrong batch count' ? 1 : 0))
  }

  async #answer(item: Structure, version: KmipVersion, fault: Fault | undefined): Promise<Item> {
    const code = child(item, tag.Operation, 'Enumeration')?.value ?? 0
    const id = child(item, tag.UniqueBatchItemId, 'ByteString')?.value
    const payload = child(item, tag.RequestPayload, 'Structure') ?? structure(tag.RequestPayload, [])
    const echoed: Item[] = [
      enumeration(tag.Operation, fault?.kind === 'wrong operation' ? operation.Activate : code),
      ...(id === undefined
        ? []
        : [byteString(tag.UniqueBatchItemId, fault?.kind === 'wrong batch id' ? other(id) : id)]),
    ]
    const failed = (reason: number) => structure(tag.BatchItem, [...echoed, ...failureItems(reason)])
    if (fault?.kind === 'pending') return structure(tag.BatchItem, [...echoed, enumeration(tag.ResultStatus, 2)])
    if (fault?.kind === 'failure without reason') {
      return structure(tag.BatchItem, [...echoed, enumeration(tag.ResultStatus, resultStatus.OperationFailed)])
    }
    if (fault?.kind === 'refused: general failure') return failed(resultReason.GeneralFailure)
    if (fault?.kind === 'refused: limit exceeded') return failed(resultReason.ServerLimitExceeded)
    try {
      const values = await this.operations.answer(code, payload, version)
      // A wrong result of Locate cannot be recognised as wrong.
      const lies = fault?.kind === 'wrong object' && code !== operation.Locate
      const shown = lies ? values.map(ofAnotherObject) : values
      return structure(tag.BatchItem, [
        ...echoed,
        enumeration(tag.ResultStatus, resultStatus.Success),
        structure(tag.ResponsePayload, shown),
      ])
    } catch (error) {
      if (error instanceof Refused) return failed(error.reason)
      throw error
    }
  }
}

const other = (id: Uint8Array) => Uint8Array.from(id, (byte) => byte ^ 0xff)

const ofAnotherObject = (item: Item): Item =>
  item.tag === tag.UniqueIdentifier ? textString(tag.UniqueIdentifier, 'another-object') : item

function versionOf(header: Structure): string {
  const version = child(header, tag.ProtocolVersion, 'Structure')
  const number = (wanted: number) => version && child(version, wanted, 'Integer')?.value
  return `${number(tag.ProtocolVersionMajor)}.${number(tag.ProtocolVersionMinor)}`
}

function authenticates(header: Structure, wanted: { readonly username: string; readonly password: string }): boolean {
  const authentication = child(header, tag.Authentication, 'Structure')
  const credential = authentication && child(authentication, tag.Credential, 'Structure')
  const value = credential && child(credential, tag.CredentialValue, 'Structure')
  return (
    value !== undefined &&
    child(value, tag.Username, 'TextString')?.value === wanted.username &&
    child(value, tag.Password, 'TextString')?.value === wanted.password
  )
}

const failureItems = (reason: number): Item[] => [
  enumeration(tag.ResultStatus, resultStatus.OperationFailed),
  enumeration(tag.ResultReason, reason),
  textString(0x42007d, 'as the test wants it'),
]

const failure = (code: number | undefined, reason: number): Item =>
  structure(tag.BatchItem, [...(code === undefined ? [] : [enumeration(tag.Operation, code)]), ...failureItems(reason)])

function response(version: KmipVersion | '1.0', items: readonly Item[], count = items.length): Item {
  return structure(tag.ResponseMessage, [
    structure(tag.ResponseHeader, [
      version === '1.0' ? oneZero : versionItem(version),
      { tag: 0x420092, type: 'DateTime', value: BigInt(Math.floor(Date.now() / 1000)) },
      integer(tag.BatchCount, count),
    ]),
    ...items,
  ])
}

const oneZero = structure(tag.ProtocolVersion, [
  integer(tag.ProtocolVersionMajor, 1),
  integer(tag.ProtocolVersionMinor, 0),
])
