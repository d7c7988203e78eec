import { renameSync } from 'node:fs'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { describeCells, group, type Row } from './cells.ts'
import { keyManagerSite, storeSite, tokenSite, type KeyManagerSite, type StoreSite, type TokenSite } from './sites.ts'

/*
 * The faults of a backend and the cost of each: to the key that it touches, to other keys of its pool, to another pool
 * of its backend, and to a pool of another backend. All requests come over HTTPS at a steady rate while the fault
 * begins and ends.
 *
 * `touches`: the extent of the fault. `a key` costs no other key and no other pool anything. `the backend` costs no
 * other backend anything.
 * `answers`: the statuses of what the fault touches. The first one must occur. 200 may occur until the fault shows, and
 * at its end.
 * `ready`: whether the pools of the backend are ready meanwhile, and the backend is up.
 * `tells`: the events that must be logged, once each. The events of `mayTell` depend on timing.
 * `backMs`: from the end of the fault, or from its beginning if it passes by itself, to the last lost request.
 */

const heal = ({ faults }: TokenSite) => faults.script()
const usingKeys = ['Encrypt', 'Decrypt'].flatMap((name) => [`C_${name}Init`, `C_${name}`, `C_${name}Update`])
const everyUse = (key: string, fault: string) =>
  [...usingKeys, 'C_WrapKey', 'C_UnwrapKey'].map((name) => `${name}${key} ${fault}`)
/** The functions by which SoftHSM does the algorithm in question. */
const wrapping = (fault: string) => ['C_WrapKey', 'C_UnwrapKey'].map((name) => `${name}@touched ${fault}`)
const move = ({ hsm }: TokenSite, from: string, to: string) =>
  renameSync(join(hsm.directory, from), join(hsm.directory, to))
const hostsToo = ['hsm_host_lost', 'hsm_back']
const downAndUp = ['backend_down', 'backend_up']
const silence = ['key_silent', 'key_answers']
/** A key that gets more calls than the token can do, or takes longer than a request has. */
const tooMuch = {
  end: heal,
  touches: 'a key',
  answers: [200, 408, 429],
  ready: true,
  tells: [],
  backMs: 1000,
} satisfies Partial<Row<TokenSite>>
const tooSlow = {
  ...tooMuch,
  answers: [408, 429, 502],
  mayTell: silence,
  backMs: 2000,
} satisfies Partial<Row<TokenSite>>

const tokenRows: readonly Row<TokenSite>[] = [
  ...['0x5', '0x30'].map((rv): Row<TokenSite> => ({
    what: `every use of a key is answered ${rv}, though session and token say that they are well`,
    begin: ({ faults }) => faults.script(...everyUse('', `rv ${rv}`)),
    end: heal,
    touches: 'the backend',
    answers: [502, 408, 429],
    ready: false,
    tells: downAndUp,
    mayTell: hostsToo,
    backMs: 2000,
  })),
  {
    what: 'every use of one key fails',
    begin: ({ faults }) => faults.script(...everyUse('@touched', 'rv 0x6')),
    end: heal,
    touches: 'a key',
    answers: [502],
    ready: true,
    tells: [],
    backMs: 500,
  },
  {
    what: 'one RSA key takes 5 ms',
    calls: 'rsa',
    begin: ({ faults }) => faults.script('C_Decrypt@rsa delay 5'),
    end: heal,
    touches: 'a key',
    answers: [200],
    ready: true,
    tells: [],
    backMs: 0,
  },
  {
    what: 'one RSA key takes 85 ms, and is asked for more than that allows',
    calls: 'rsa',
    perSecond: 40,
    begin: ({ faults }) => faults.script('C_Decrypt@rsa delay 85'),
    ...tooMuch,
  },
  {
    what: 'one RSA key takes 600 ms, which is more than a request has',
    calls: 'rsa',
    begin: ({ faults }) => faults.script('C_Decrypt@rsa delay 600'),
    ...tooSlow,
  },
  {
    what: 'one AES key takes 85 ms, and is asked for more than that allows',
    perSecond: 60,
    begin: ({ faults }) => faults.script(...wrapping('delay 85')),
    ...tooMuch,
    lastsMs: 3000,
  },
  {
    what: 'one AES key takes 600 ms, which is more than a request has',
    begin: ({ faults }) => faults.script(...wrapping('delay 600')),
    ...tooSlow,
    lastsMs: 3000,
  },
  {
    what: 'the token is removed, and comes back',
    begin: ({ faults, hsm }) => {
      faults.script(...everyUse('', 'rv 0x32'), 'C_GetTokenInfo rv 0xe0')
      hsm.hideTokens(true)
    },
    end: ({ faults, hsm }) => {
      faults.script()
      hsm.hideTokens(false)
    },
    touches: 'the backend',
    answers: [502, 408, 429],
    ready: false,
    tells: downAndUp,
    mayTell: hostsToo,
    backMs: 2000,
  },
  {
    what: 'the token’s directory is moved away, and back',
    begin: (site) => move(site, 'tokens', 'away'),
    end: (site) => move(site, 'away', 'tokens'),
    touches: 'the backend',
    answers: [502, 408, 429],
    ready: false,
    tells: downAndUp,
    mayTell: hostsToo,
    backMs: 2000,
  },
  {
    what: 'one host process is killed',
    begin: ({ hosts }) => void process.kill(hosts()[0] ?? 0, 'SIGKILL'),
    lastsMs: 1000,
    touches: 'nothing',
    answers: [200],
    ready: true,
    tells: ['hsm_host_lost'],
    // A host of an earlier row may be the last one to see its token again.
    mayTell: ['hsm_back'],
    backMs: 0,
  },
  {
    what: 'every host process is killed',
    begin: ({ hosts }) => hosts().forEach((pid) => process.kill(pid, 'SIGKILL')),
    touches: 'the backend',
    answers: [200, 408, 429, 502],
    tells: [],
    mayTell: [...downAndUp, ...hostsToo],
    backMs: 2000,
  },
  {
    what: 'damaged values get CKR_DEVICE_ERROR from the token',
    calls: 'damaged',
    begin: ({ faults }) => faults.script(...everyUse('', 'instead 0x30')),
    end: heal,
    touches: 'a key',
    answers: [400],
    ready: true,
    tells: [],
    backMs: 0,
  },
]

const follow = ({ relay }: KeyManagerSite, rules: KeyManagerSite['relay']['rules']) => void (relay.rules = rules)
const serveAgain = ({ relay }: KeyManagerSite) => void (relay.newcomers = 'serve')
const goAndComeBack = [...downAndUp, 'kmip_server_unreachable', 'kmip_server_back']

const keyManagerRows: readonly Row<KeyManagerSite>[] = [
  {
    what: 'all connections die silently, and new ones are well',
    begin: ({ relay }) => relay.swallowOpen(),
    touches: 'the backend',
    answers: [200, 408, 429],
    ready: true,
    tells: [],
    mayTell: silence,
    backMs: 1000,
  },
  {
    what: 'all connections are cut, and new ones are well',
    begin: ({ relay }) => relay.cutOpen(),
    touches: 'the backend',
    answers: [200, 408, 429, 502],
    ready: true,
    tells: [],
    backMs: 1000,
  },
  {
    what: 'connections are refused',
    begin: ({ relay }) => {
      relay.newcomers = 'refuse'
      relay.cutOpen()
    },
    end: serveAgain,
    touches: 'the backend',
    answers: [502, 408, 429],
    ready: false,
    tells: goAndComeBack,
    backMs: 2000,
  },
  {
    what: 'the server is away without a word, and comes back',
    begin: ({ relay }) => {
      relay.newcomers = 'swallow'
      relay.swallowOpen()
    },
    end: serveAgain,
    lastsMs: 4000,
    touches: 'the backend',
    answers: [502, 408, 429],
    ready: false,
    tells: goAndComeBack,
    mayTell: silence,
    backMs: 2000,
  },
  {
    what: 'the server is stopped, and started again',
    begin: ({ server }) => server.stop(),
    end: ({ server }) => server.start(),
    touches: 'the backend',
    answers: [502, 408, 429],
    ready: false,
    tells: goAndComeBack,
    backMs: 2000,
  },
  {
    what: 'one key takes 5 ms',
    begin: (site) => follow(site, [{ key: site.touchedId, action: { kind: 'delay', ms: 5 } }]),
    end: (site) => follow(site, []),
    touches: 'a key',
    answers: [200],
    ready: true,
    tells: [],
    backMs: 0,
  },
  {
    what: 'one key takes 85 ms',
    begin: (site) => follow(site, [{ key: site.touchedId, action: { kind: 'delay', ms: 85 } }]),
    end: (site) => follow(site, []),
    touches: 'a key',
    answers: [200],
    ready: true,
    tells: [],
    backMs: 0,
  },
  {
    what: 'one key takes 600 ms, which is more than a request has',
    perSecond: 25,
    begin: (site) => follow(site, [{ key: site.touchedId, action: { kind: 'delay', ms: 600 } }]),
    end: (site) => follow(site, []),
    touches: 'a key',
    answers: [408, 429, 502],
    ready: true,
    tells: [],
    mayTell: silence,
    backMs: 2000,
  },
  {
    what: 'what is asked with one key is swallowed',
    perSecond: 25,
    begin: (site) => follow(site, [{ key: site.touchedId, action: { kind: 'swallow' } }]),
    end: (site) => follow(site, []),
    touches: 'a key',
    answers: [408, 429, 502],
    ready: true,
    tells: [],
    mayTell: silence,
    backMs: 2000,
  },
]

const storeRows: readonly Row<StoreSite>[] = [
  {
    what: 'a key’s file is damaged, and mended',
    begin: async ({ keyFile }) => {
      await writeFile(`${keyFile}.good`, await readFile(keyFile))
      await writeFile(keyFile, 'damaged')
    },
    end: async ({ keyFile }) => writeFile(keyFile, await readFile(`${keyFile}.good`)),
    touches: 'nothing',
    answers: [200],
    ready: true,
    tells: ['key_file_refused'],
    mayTell: ['key_loaded'],
    backMs: 0,
  },
  {
    what: 'a key’s file can be changed by everybody',
    begin: ({ keyFile }) => chmod(keyFile, 0o666),
    end: ({ keyFile }) => chmod(keyFile, 0o600),
    touches: 'nothing',
    answers: [200],
    ready: true,
    tells: ['key_file_refused'],
    mayTell: ['key_loaded'],
    backMs: 0,
  },
]

const groups = [
  group('a PKCS#11 token', tokenSite, tokenRows),
  group('a KMIP server', keyManagerSite, keyManagerRows),
  group('the software store', storeSite, storeRows),
]

// The groups wait most of their time and run side by side. The cells then examine the recorded outcome.
beforeAll(() => Promise.all(groups.map(({ run }) => run())), 240_000)
afterAll(() => Promise.all(groups.map(({ stop }) => stop())))

describe.each(groups)('a gateway with $name', ({ rows }) => {
  describe.each(rows)('while $what', (row) => describeCells(row))
})
