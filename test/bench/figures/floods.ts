import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { makeWorkspace } from '../../support/workspace.ts'
import { startHaproxy } from '../../tls/support/haproxy.ts'
import { makeHeavyChain } from '../../tls/support/heavy-chain.ts'
import type { Figure } from '../figure.ts'
import { HttpConnection, type Target } from '../http-connection.ts'
import { keyNames, prefixes, untilRight, type Laboratory } from '../laboratory.ts'
import { openConnections, openLoop } from '../load.ts'
import { isRight, makePair, type Call } from '../request.ts'
import { ServerProcess } from '../server-process.ts'
import { difference, median, paired, quantile, spreadOf, sum } from '../statistics.ts'
import { CONNECTIONS, inTurns } from '../turns.ts'

const RATE = 500
/** The longest time to wait for an attack's first bytes. */
const BEGIN_MS = 5000
const LEAD_MS = 500
const NEW_CONNECTION_MS = 100
const QUIET = 'no attack'
const QUIET_BEHIND = 'no attack, through HAProxy'

interface Attack {
  readonly name: string
  readonly way: string
  /** Connections a second. The attacker holds 2000 at a time. */
  readonly rate: number
  /** The certificate that the attacker shows. */
  readonly identity?: 'heavy' | 'tenant'
  /** Milliseconds from the attack's first bytes to the measurement. */
  readonly leadMs?: number
  readonly behindHaproxy?: true
}

/** Each attack comes from an address that the gateway has not seen before. */
const attacks: readonly Attack[] = [
  { name: 'half-open connections', way: 'silence', rate: 2000 },
  { name: 'slow senders', way: 'slow', rate: 500 },
  { name: 'hellos', way: 'hellos', rate: 2000 },
  { name: 'handshakes', way: 'handshakes', rate: 500 },
  { name: 'requests', way: 'requests', rate: 500 },
  // The first connections stall the gateway before it knows their cost.
  { name: 'certificate chains', way: 'certificates', rate: 20, identity: 'heavy', leadMs: 2000 },
  { name: 'key updates', way: 'key updates', rate: 4, leadMs: 2000 },
  // More connections than `maxConnections`.
  { name: 'slots', way: 'certificates', rate: 250, identity: 'tenant', leadMs: 5000 },
  {
    name: 'chains through HAProxy',
    way: 'certificates',
    rate: 20,
    identity: 'heavy',
    leadMs: 2000,
    behindHaproxy: true,
  },
]

const program = fileURLToPath(new URL('../../../../test/tls/support/attacker.mjs', import.meta.url))

interface Turn {
  readonly slowest: number
  readonly connecting: number
}

/** The client's failures, and how often each occurred. */
class Failures {
  readonly #counts = new Map<string, number>()

  add(how: string, count = 1): void {
    this.#counts.set(how, (this.#counts.get(how) ?? 0) + count)
  }

  get total(): number {
    return sum(this.#counts.values())
  }

  get notes(): string[] {
    return [...this.#counts].map(([how, count]) => `${count} × ${how}`)
  }
}

/** Opens a connection as the client and sends one request. Resolves with the handshake's duration in milliseconds. */
async function connectAndAsk(target: Target, call: Call): Promise<number> {
  const start = performance.now()
  const connection = await HttpConnection.open(target)
  const took = performance.now() - start
  try {
    if (isRight(call, await connection.exchange(call.request))) return took
    throw new Error('a wrong reply')
  } finally {
    connection.close()
  }
}

async function steadyClient(
  target: Target,
  calls: readonly Call[],
  seconds: number,
  failures: Failures,
): Promise<Turn> {
  const [call] = calls
  if (call === undefined) throw new RangeError('no calls')
  // Each turn opens its own connections: HAProxy closes idle ones before the next turn.
  const connections = await openConnections(target, CONNECTIONS)
  const times: number[] = []
  const asked: Promise<void>[] = []
  const connect = setInterval(() => {
    const connecting = connectAndAsk(target, call).then(
      (took) => void times.push(took),
      () => failures.add('a new connection was refused'),
    )
    asked.push(connecting)
  }, NEW_CONNECTION_MS)
  const result = await openLoop({ connections, calls, rate: RATE }, seconds)
  clearInterval(connect)
  await Promise.all(asked)
  for (const connection of connections) connection.close()
  for (const [how, count] of Object.entries(result.failures)) failures.add(how, count)
  return { slowest: quantile(result.times, 0.99), connecting: median(times) }
}

/** Begins an attack from an address of its own. */
function beginAttack({ way, rate }: Attack, port: number, address: string, identity: string): ServerProcess {
  const command = [process.execPath, program, way, String(port), String(rate), address, identity]
  // The attacker gets what the load generator leaves of its core: a real attacker has a separate machine.
  return new ServerProcess({ prefix: ['nice', '-n', '10'], command })
}

async function identitiesOf(laboratory: Laboratory) {
  const workspace = await makeWorkspace()
  for (const [name, identity] of [
    ['heavy', await makeHeavyChain()],
    ['tenant', await laboratory.anotherTenant()],
  ] as const) {
    await workspace.write(`${name}.pem`, identity.certificate)
    await workspace.write(`${name}.key`, identity.key)
  }
  return { pathOf: (name: string) => workspace.path(name), [Symbol.asyncDispose]: () => workspace.remove() }
}

export const floods: Figure = {
  name: 'floods',
  title: `${RATE} requests/s of an authenticated client beside floods of connections of strangers`,
  async measure(bench) {
    const { laboratory, plan } = bench
    const alg = 'A256KWP'
    const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg }
    const calls = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    await using identities = await identitiesOf(laboratory)
    await using gateway = await laboratory.gateway()
    await using hidden = await laboratory.gateway({ proxyProtocol: ['127.0.0.1'] })
    await using haproxy = await startHaproxy({ port: hidden.target.port, sending: 'send-proxy-v2' })
    const direct = gateway.target
    const behind = laboratory.target(haproxy.port)
    for (const target of [direct, behind]) for (const call of calls) await untilRight({ target }, call)
    const seconds = 2 * plan.seconds
    const failures = new Failures()
    const run = (target: Target) => steadyClient(target, calls, seconds, failures)
    let attackers = 0
    const attacked = async (attack: Attack): Promise<Turn> => {
      const target = attack.behindHaproxy ? behind : direct
      attackers += 1
      const identity = identities.pathOf(attack.identity ?? 'tenant')
      const attacker = beginAttack(attack, target.port, `127.0.1.${attackers}`, identity)
      if ((await Promise.race([attacker.firstLine(), sleep(BEGIN_MS)])) === undefined) {
        throw new Error(`the attack "${attack.name}" did not begin`)
      }
      await sleep(attack.leadMs ?? LEAD_MS)
      const turn = await run(target)
      await attacker.stop()
      await sleep(LEAD_MS)
      return turn
    }
    const results = await inTurns(bench, [
      { name: QUIET, turn: () => run(direct) },
      { name: QUIET_BEHIND, turn: () => run(behind) },
      ...attacks.map((attack) => ({ name: attack.name, turn: () => attacked(attack) })),
    ])
    return outcomeOf(results, failures, seconds)
  },
}

function outcomeOf(
  results: ReadonlyMap<string, readonly Turn[]>,
  failures: Failures,
  seconds: number,
): Awaited<ReturnType<Figure['measure']>> {
  const values = (name: string, member: keyof Turn) => (results.get(name) ?? []).map((turn) => turn[member])
  const rise = ({ name, behindHaproxy }: Attack) =>
    paired(values(name, 'slowest'), values(behindHaproxy ? QUIET_BEHIND : QUIET, 'slowest'), difference)
  return {
    checks: [
      ...attacks.map((attack) => ({
        what: `${attack.name}: 99th percentile rises by`,
        relation: 'at most' as const,
        target: 50,
        unit: 'ms' as const,
        measured: spreadOf(rise(attack)),
      })),
      {
        what: 'failed requests and connections of the client',
        relation: 'at most',
        target: 0,
        unit: 'of',
        measured: spreadOf([failures.total]),
      },
    ],
    series: [...results.keys()].flatMap((name) => [
      { what: name, unit: 'ms at the 99th percentile', values: values(name, 'slowest') },
      { what: `${name}, a new connection of the client`, unit: 'ms at the median', values: values(name, 'connecting') },
    ]),
    notes: [
      `A turn takes ${seconds} s. The attacker has another address, sends in bursts, and shares the load generator's core.`,
      "HAProxy tells the gateway the client's address by PROXY v2.",
      `Connections a second: ${attacks.map(({ name, rate }) => `${name} ${rate}`).join(', ')}.`,
      "Certificate chains and key updates are measured from 2 s after their beginning, and slots from 5 s. The stall before the gateway knows a stranger's cost is left out.",
      ...failures.notes,
    ],
  }
}
