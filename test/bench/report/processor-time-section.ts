import { median } from '../statistics.ts'
import { columnOf, resultOf, tableOf } from './markdown.ts'
import type { Run } from './results.ts'

/** The major version of Node.js that the release carries. */
const RELEASE = '24'
const missing = `\`wrap\`, \`softhsm\` and \`handshakes\` were not all measured on Node.js ${RELEASE}.`

/** The load of the example: pools of `perPool` requests a second, gateways of `cores` with `connections` each. */
const example = { pools: 3, perPool: 2000, cores: 2, connections: 500 }

/** How much of a core a request and a new connection take. Every number is rounded before it is used further. */
export function processorTimeSection(runs: readonly Run[]): string {
  const times = timesOf(runs)
  if (times === undefined) return missing
  const { node, wraps, calls, cores, store, hsm, full, resumed } = times
  const rows = [
    ['software store, A256KWP', `${store} µs`, `\`wrap\`: ${grouped(wraps)} requests for each second of CPU`],
    [
      'SoftHSM, A256KW, with the HSM processes',
      `${hsm} µs`,
      `\`softhsm\`: ${grouped(calls)} requests/s on ${cores} cores`,
    ],
    ['a new connection, full handshake', `${full} ms`, '`handshakes`: gateway, full'],
    ['a new connection, resumed session', `${resumed} ms`, '`handshakes`: gateway, resumed'],
  ]
  return `Measured on ${node}:\n\n${tableOf(['backend', 'processor time of a request, `t`', 'from'], rows)}`
}

/** The formulas of the page with these times. */
export function exampleSection(runs: readonly Run[]): string {
  const times = timesOf(runs)
  if (times === undefined) return missing
  const { hsm, full, resumed } = times
  const { pools, perPool, cores, connections } = example
  const requests = pools * perPool
  const busy = toHundredths((requests * hsm) / 1e6)
  const alive = Math.ceil(busy / (cores / 2))
  const count = alive + 1
  const share = (gateways: number) => {
    const each = toHundredths(busy / gateways)
    return `${each} of ${cores} cores: ${Math.round((100 * each) / cores)} %`
  }
  const seconds = (milliseconds: number) => `${toHundredths((connections * milliseconds) / 1000)} s`
  return [
    `**An example**: ${pools} pools at ${grouped(perPool)} requests/s each on an HSM, gateways of ${cores} cores.`,
    [
      `- \`busy\` = ${grouped(requests)} × ${hsm} µs = ${busy} cores. ` +
        `\`alive\` = ceil(${busy} / ${cores / 2}) = ${alive}. ` +
        `\`N\` = ${count}, or ${count + 1} with one more for upgrades.`,
      `- With ${count} gateways, each uses ${share(count)}. With one lost, each that is left uses ${share(alive)}.`,
      `- If the lost one had ${connections} connections, they come back to what is left: ` +
        `${connections} × ${resumed} ms = ${seconds(resumed)} of processor time with sessions that resume ` +
        `([shared ticket keys](operations.md#tls-sessions)), ${seconds(full)} without.`,
    ].join('\n'),
  ].join('\n\n')
}

interface Times {
  readonly node: string
  /** Wraps for each second of CPU, calls of SoftHSM a second, and the cores that these use. */
  readonly wraps: number
  readonly calls: number
  readonly cores: number
  /** Microseconds of a request. */
  readonly store: number
  readonly hsm: number
  /** Milliseconds of a handshake. */
  readonly full: number
  readonly resumed: number
}

function timesOf(runs: readonly Run[]): Times | undefined {
  const run = runs.findLast(({ machine }) => machine.serverNode.split('.')[0] === RELEASE)
  if (run === undefined) return undefined
  const middle = (figure: string, what: string) =>
    toThreeDigits(median(resultOf(figure, run)?.outcome?.series.find((one) => one.what === what)?.values ?? []))
  const wraps = middle('wrap', 'gateway, for each second of CPU')
  const calls = middle('softhsm', 'SoftHSM')
  const cores = toThreeDigits(middle('softhsm', 'SoftHSM: gateway and HSM hosts together') / 100)
  const times = {
    wraps,
    calls,
    cores,
    store: toThreeDigits(1e6 / wraps),
    hsm: toThreeDigits((1e6 * cores) / calls),
    full: middle('handshakes', 'gateway, full'),
    resumed: middle('handshakes', 'gateway, resumed'),
  }
  return Object.values(times).every(Number.isFinite) ? { node: columnOf(run), ...times } : undefined
}

const toThreeDigits = (value: number) => Number(value.toPrecision(3))
const toHundredths = (value: number) => Number(value.toFixed(2))
const grouped = (value: number) => value.toLocaleString('en-US')
