import { randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect as connectTcp, createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openBackend } from '../../src/backends/index.ts'
import { loadConfig } from '../../src/config/load.ts'
import { FaultyAdapter } from '../support/faulty-adapter.ts'
import { aesKey, editConfig, makeStore, startTestGateway, type Settings, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, tlsOptions } from '../support/https.ts'
import {
  CLIENT_CN,
  issue,
  makeClient,
  makeClientBehindIntermediate,
  makePki,
  type Authority,
  type Identity,
  type Pki,
} from '../support/pki.ts'

let pki: Pki
let otherRoot: Authority
let fixture: TestGateway
const sockets: TLSSocket[] = []
/** Every adapter that the gateway opened, and whether it is closed. */
let adapters: { readonly adapter: FaultyAdapter; closed: boolean }[] = []

beforeAll(async () => {
  pki = await makePki()
  otherRoot = await issue({ commonName: 'another client root', usage: 'authority' })
})

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await fixture.stop()
})

async function start(settings: Settings = {}): Promise<void> {
  adapters = []
  fixture = await startTestGateway(
    pki,
    [aesKey('aes-1')],
    { ...settings, files: { 'other-root.pem': otherRoot.certificate, ...settings.files } },
    async (backend, report) => {
      const adapter = new FaultyAdapter(await openBackend(backend, report))
      const entry = { adapter, closed: false }
      const close = adapter.close.bind(adapter)
      adapter.close = () => {
        entry.closed = true
        return close()
      }
      adapters.push(entry)
      return adapter
    },
  )
}

interface Yaml {
  listen: Record<string, unknown>
  limits: Record<string, unknown>
  log: Record<string, unknown>
  workers?: unknown
  backends: Record<string, Record<string, unknown>>
  pools: {
    name: string
    pathPrefix: string
    backend: string
    clients: { subjectCommonNames: string[]; caCertificates: string[] }[]
  }[]
}

const prepare = async (change: (yaml: Yaml) => void) =>
  fixture.gateway.prepare(loadConfig(await editConfig(fixture.workspace, change), {}))

const read = () => readFile(fixture.workspace.path('gateway.yaml'), 'utf8')

async function reload(change: (yaml: Yaml) => void = () => undefined) {
  const prepared = await prepare(change)
  prepared.commit()
  return prepared.changed
}

const onlyPool = ({ pools }: Yaml) => {
  const [pool] = pools
  const [client] = pool?.clients ?? []
  if (pool === undefined || client === undefined) throw new Error('the fixture has one pool with one client')
  return { pool, client }
}

interface Connection {
  readonly socket: TLSSocket
  readonly ticket: () => Promise<Buffer | undefined>
}

async function open(identity: Identity = pki.client, session?: Buffer): Promise<Connection> {
  const socket = connect({
    host: 'localhost',
    port: fixture.port,
    ...tlsOptions(pki, identity),
    ...(session && { session }),
  })
  sockets.push(socket)
  let offered: Buffer | undefined
  socket.on('session', (ticket: Buffer) => (offered = ticket))
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  return {
    socket,
    ticket: async () => {
      for (let waited = 0; offered === undefined && waited < 500; waited += 20) await setTimeout(20)
      return offered
    },
  }
}

/** Sends one request on an open connection. Resolves with its status, or `closed`. */
async function ask({ socket }: Connection, path = '/azureekm/contoso/info', extra = {}): Promise<number | 'closed'> {
  const payload = JSON.stringify({ request_context: CONTEXT, ...extra })
  return new Promise((resolve) => {
    const onClose = () => resolve('closed')
    if (socket.destroyed) return onClose()
    socket.once('close', onClose)
    socket.once('data', (chunk: Buffer) => {
      socket.off('close', onClose)
      resolve(Number(chunk.toString().slice(9, 12)))
    })
    socket.write(
      `POST ${path}?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${payload.length}\r\n\r\n${payload}`,
    )
  })
}

const wrap = { alg: 'A256KW', value: Buffer.alloc(32, 1).toString('base64url') }

describe('a renewed server certificate', () => {
  it('is shown to new connections, and cuts no other', async () => {
    await start()
    const before = await open()
    expect(await ask(before)).toBe(200)
    const renewed = await issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost'] }, pki.serverCa)
    await fixture.workspace.write('server.pem', renewed.certificate)
    await fixture.workspace.write('server.key', renewed.key)
    expect(await reload()).toEqual(['listen.tls'])
    expect(await ask(before)).toBe(200)
    const after = await open()
    expect(await ask(after)).toBe(200)
    const shown = [before, after].map(({ socket }) => socket.getPeerCertificate().fingerprint256)
    expect(shown).toEqual(
      [pki.server, renewed].map(({ certificate }) => new X509Certificate(certificate).fingerprint256),
    )
  })

  it('resumes earlier sessions', async () => {
    await start()
    const session = await (await open()).ticket()
    const renewed = await issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost'] }, pki.serverCa)
    await fixture.workspace.write('server.pem', renewed.certificate)
    await fixture.workspace.write('server.key', renewed.key)
    await reload()
    const after = await open(pki.client, session)
    expect(after.socket.isSessionReused()).toBe(true)
    expect(await ask(after)).toBe(200)
  })

  it('that is invalid changes nothing', async () => {
    await start()
    await fixture.workspace.write('server.pem', otherRoot.certificate)
    await expect(reload()).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    expect((await open()).socket.authorized).toBe(true)
  })
})

describe('a common name that is taken away', () => {
  it('is refused at once, on an open connection and on a resumed session', async () => {
    await start()
    const connection = await open()
    const session = await connection.ticket()
    expect(await ask(connection)).toBe(200)
    expect(
      await reload((yaml) => {
        onlyPool(yaml).client.subjectCommonNames = ['fabrikam']
      }),
    ).toEqual(['pools.contoso'])
    expect(await ask(connection)).toBe(401)
    const resumed = await open(pki.client, session)
    expect(resumed.socket.isSessionReused()).toBe(true)
    expect(await ask(resumed)).toBe(401)
    expect((await fixture.logged('request')).at(-1)).toMatchObject({ reason: 'CLIENT_NOT_ALLOWED', tls_resumed: true })
    await reload((yaml) => {
      onlyPool(yaml).client.subjectCommonNames = [CLIENT_CN]
    })
    expect(await ask(await open(pki.client, session))).toBe(200)
  })
})

describe('a root', () => {
  const both = ['client-ca.pem', 'other-root.pem']
  const pools = (caCertificates: string[]) => [
    {
      name: 'contoso',
      pathPrefix: 'azureekm/contoso',
      clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates }],
      backend: 'store',
      keys: 'all',
    },
  ]

  it('that is removed is refused: an idle connection ends, and a resumed session is refused too', async () => {
    await start({ pools: pools(both) })
    const [mine, others] = [await open(), await open(await makeClient(otherRoot))]
    const session = await mine.ticket()
    expect([await ask(mine), await ask(others)]).toEqual([200, 200])
    await reload((yaml) => {
      onlyPool(yaml).client.caCertificates = ['other-root.pem']
    })
    expect([await ask(mine), await ask(others)]).toEqual(['closed', 200])
    const again = await open(pki.client, session)
    expect(again.socket.isSessionReused()).toBe(true)
    expect(await ask(again)).toBe(401)
    // After one refusal on a resumed session, the client has to show its certificate in a full handshake.
    const anew = await open(pki.client, session)
    expect(anew.socket.isSessionReused()).toBe(false)
    expect(await ask(anew)).toBe(401)
  })

  it('that is removed lets a running request finish, and refuses the next one', async () => {
    await start({ pools: pools(both) })
    const connection = await open()
    expect(await ask(connection)).toBe(200)
    const [{ adapter } = { adapter: undefined }] = adapters
    if (adapter) adapter.fault = { delayMs: 300 }
    const slow = ask(connection, '/azureekm/contoso/aes-1/wrapkey', wrap)
    while (fixture.gateway.requestsUnderWay === 0) await setTimeout(5)
    await reload((yaml) => {
      onlyPool(yaml).client.caCertificates = ['other-root.pem']
    })
    expect(await slow).toBe(200)
    expect(await ask(connection)).toBe(401)
    expect((await fixture.logged('request')).at(-1)).toMatchObject({ detail: 'ISSUER_UNKNOWN' })
  })

  it('that is added cuts no client that arrives during the preparation, nor does an aborted change', async () => {
    await start()
    const both = ['client-ca.pem', 'other-root.pem']
    const before = await read()
    const prepared = await prepare((yaml) => {
      onlyPool(yaml).client.caCertificates = both
    })
    const [mine, behind] = [
      await open(await makeClient(pki.clientCa)),
      await open(await makeClientBehindIntermediate(pki.clientCa)),
    ]
    expect([await ask(mine), await ask(behind)]).toEqual([200, 200])
    prepared.commit()
    expect([await ask(mine), await ask(behind)]).toEqual([200, 200])
    const never = await prepare((yaml) => {
      onlyPool(yaml).client.caCertificates = ['other-root.pem']
    })
    await never.abort()
    expect(await read()).not.toBe(before)
    expect([await ask(mine), await ask(await open())]).toEqual([200, 200])
  })

  it('that is added costs no connection, and lets its clients in', async () => {
    await start()
    const behind = await makeClientBehindIntermediate(pki.clientCa)
    const [mine, resumable] = [await open(), await open(behind)]
    const resumed = await open(behind, await resumable.ticket())
    expect(resumed.socket.isSessionReused()).toBe(true)
    expect(await ask(await open(await makeClient(otherRoot)))).toBe(401)
    await reload((yaml) => {
      onlyPool(yaml).client.caCertificates = both
    })
    expect(await ask(await open(await makeClient(otherRoot)))).toBe(200)
    expect([await ask(mine), await ask(resumable), await ask(resumed)]).toEqual([200, 200, 200])
  })

  it('that another pool gets does not let its clients into this pool', async () => {
    await start()
    const behind = await makeClientBehindIntermediate(pki.clientCa)
    const [mine, behindIssuing] = [await open(), await open(behind)]
    await reload((yaml) => {
      const { pool } = onlyPool(yaml)
      const clients = [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['other-root.pem'] }]
      yaml.pools.push({ ...pool, name: 'fabrikam', pathPrefix: 'f', clients })
    })
    expect([await ask(mine), await ask(mine, '/f/info')]).toEqual([200, 401])
    expect(await ask(behindIssuing)).toBe(200)
    expect(await ask(await open(await makeClient(otherRoot)))).toBe(401)
    expect(await ask(await open(await makeClient(otherRoot)), '/f/info')).toBe(200)
  })

  it('that one of two pools loses is refused there, and not in the other pool', async () => {
    await start({ pools: [...pools(both), { ...pools(['client-ca.pem'])[0], name: 'f', pathPrefix: 'f' }] })
    const connection = await open(await makeClient(otherRoot))
    expect([await ask(connection), await ask(await open(await makeClient(otherRoot)), '/f/info')]).toEqual([200, 401])
    await reload(({ pools }) => {
      for (const { name, clients } of pools)
        for (const client of clients) client.caCertificates = name === 'f' ? both : ['client-ca.pem']
    })
    expect(await ask(connection, '/f/info')).toBe(200)
    expect(await ask(connection)).toBe(401)
  })
})

describe('backends', () => {
  it('stay open while their settings are the same, whatever else changes', async () => {
    await start()
    expect(
      await reload(({ limits }) => {
        limits['maxBodyBytes'] = 1024
        limits['deadlineMs'] = 1999
      }),
    ).toEqual(['limits.deadlineMs', 'limits.maxBodyBytes'])
    expect(adapters.map(({ closed }) => closed)).toEqual([false])
    const connection = await open()
    expect(await ask(connection, '/azureekm/contoso/aes-1/wrapkey', wrap)).toBe(200)
    expect(await ask(connection, '/azureekm/contoso/info', { padding: 'x'.repeat(1024) })).toBe(413)
  })

  it('whose settings change are replaced after the running requests', async () => {
    await start({ limits: { deadlineMs: 20_000 } })
    await makeStore(fixture.workspace.path('keys-2'), [aesKey('aes-2')])
    const connection = await open()
    const [old] = adapters
    let answer: () => void = () => undefined
    if (old) old.adapter.fault = { until: new Promise<void>((resolve) => (answer = resolve)), ofKeys: true }
    const slow = ask(connection, '/azureekm/contoso/aes-1/wrapkey', wrap)
    while (fixture.gateway.requestsUnderWay === 0) await setTimeout(5)
    expect(
      await reload(({ backends }) => {
        if (backends['store']) backends['store']['directory'] = 'keys-2'
      }),
    ).toEqual(['backends.store'])
    expect(await ask(await open(), '/azureekm/contoso/aes-1/wrapkey', wrap)).toBe(404)
    expect(await ask(await open(), '/azureekm/contoso/aes-2/wrapkey', wrap)).toBe(200)
    expect(old?.closed).toBe(false)
    answer()
    expect(await slow).toBe(200)
    await expect.poll(() => adapters.map(({ closed }) => closed)).toEqual([true, false])
  })

  it('are opened again for a changed secret', async () => {
    await start()
    await fixture.workspace.write('passphrase', 'wrong')
    await expect(reload()).rejects.toMatchObject({ name: 'OperatorError' })
    expect(await ask(await open(), '/azureekm/contoso/aes-1/wrapkey', wrap)).toBe(200)
    expect(adapters).toHaveLength(1)
  })

  it('that were opened for an aborted reload are closed', async () => {
    await start()
    await makeStore(fixture.workspace.path('keys-2'), [])
    const prepared = await prepare(({ backends }) => {
      backends['second'] = { kind: 'software', directory: 'keys-2', passphrase: { file: 'passphrase' } }
    })
    expect(adapters).toHaveLength(2)
    await prepared.abort()
    expect(adapters.map(({ closed }) => closed)).toEqual([false, true])
    await expect(
      prepare(({ backends }) => {
        backends['second'] = { kind: 'software', directory: 'keys-2', passphrase: { file: 'passphrase' } }
        backends['third'] = { kind: 'software', directory: 'nowhere', passphrase: { file: 'passphrase' } }
      }),
    ).rejects.toMatchObject({ name: 'OperatorError' })
    expect(adapters.map(({ closed }) => closed)).toEqual([false, true, true])
  })
})

describe('a setting that takes a restart', () => {
  const rows: readonly (readonly [string, (yaml: Yaml) => void])[] = [
    ['listen.port', ({ listen }) => (listen['port'] = 9443)],
    ['listen.host', ({ listen }) => (listen['host'] = 'localhost')],
    ['listen.clientAuth', ({ listen }) => (listen['clientAuth'] = 'disabled')],
    ['workers', (yaml) => (yaml.workers = 2)],
    ['log.destination', ({ log }) => (log['destination'] = 'stderr')],
    ['log.level', ({ log }) => (log['level'] = 'error')],
  ]
  it('is refused by name, together with all other changes', async () => {
    await start()
    const original = await read()
    for (const [name, change] of rows) {
      await fixture.workspace.write('gateway.yaml', original)
      const refused = reload((yaml) => {
        change(yaml)
        onlyPool(yaml).client.subjectCommonNames = ['fabrikam']
      })
      await expect(refused).rejects.toMatchObject({
        code: 'RESTART_NEEDED',
        message: expect.stringMatching(new RegExp(`^${name} cannot change .*restart`)) as string,
      })
    }
    expect(await ask(await open())).toBe(200)
  })
})

describe('ticket keys from a file', () => {
  it('let sessions resume on another gateway, and are read again at a reload', async () => {
    const keys = randomBytes(48)
    const settings: Settings = {
      listen: { port: 0, tls: { certificate: 'server.pem', key: 'server.key' }, ticketKeys: { file: 'tickets' } },
      files: { tickets: keys.toString('base64') + '\n' },
    }
    await start(settings)
    const first = fixture
    const session = await (await open()).ticket()
    await start({ ...settings, files: { tickets: keys.toString('hex') } })
    const resumed = await open(pki.client, session)
    expect(resumed.socket.isSessionReused()).toBe(true)
    expect(await ask(resumed)).toBe(200)
    await fixture.workspace.write('tickets', randomBytes(48))
    expect(await reload()).toEqual(['listen.ticketKeys'])
    expect((await open(pki.client, session)).socket.isSessionReused()).toBe(false)
    await first.stop()
  })

  it('are refused if they are not 48 bytes', async () => {
    await start()
    for (const wrong of [randomBytes(47), randomBytes(32).toString('base64'), '']) {
      await fixture.workspace.write('tickets', wrong)
      const refused = reload(({ listen }) => (listen['ticketKeys'] = { file: 'tickets' }))
      await expect(refused).rejects.toThrow(/listen\.ticketKeys\.file names a file that does not hold 48 bytes/)
    }
  })
})

it('a client is refused if its handshake began before its root was removed', async () => {
  await start()
  const held = await holdHandshake(fixture.port)
  const opening = connect({ host: 'localhost', port: held.port, ...tlsOptions(pki) })
  sockets.push(opening)
  const done = once(opening, 'secureConnect')
  await held.helloPassed
  await reload((yaml) => {
    onlyPool(yaml).client.caCertificates = ['other-root.pem']
  })
  held.release()
  await done
  expect(await ask({ socket: opening, ticket: () => Promise.resolve(undefined) })).toBe(401)
  expect((await fixture.logged('request')).at(-1)).toMatchObject({ detail: 'ISSUER_UNKNOWN' })
  held.close()
})

/** A path to the gateway that forwards a client's first bytes at once, and the rest only on command. */
async function holdHandshake(port: number) {
  let release: () => void = () => undefined
  let helloPassed: () => void = () => undefined
  const passed = new Promise<void>((resolve) => (helloPassed = resolve))
  const server = createServer((client) => {
    const gateway = connectTcp(port, '127.0.0.1')
    for (const socket of [client, gateway]) socket.on('error', () => undefined)
    gateway.pipe(client)
    client.once('data', (hello: Buffer) => {
      client.pause()
      gateway.write(hello)
      gateway.once('readable', helloPassed)
      release = () => void client.pipe(gateway)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    helloPassed: passed,
    release: () => release(),
    close: () => server.close(),
  }
}
