import { randomBytes } from 'node:crypto'
import { oaepWrap } from '../../contract/reference.ts'
import type { Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { openConnections, openLoop } from '../load.ts'
import { makeCall, makePair } from '../request.ts'
import { difference, paired, quantile, spreadOf, sum } from '../statistics.ts'
import { inTurns } from '../turns.ts'

const AES_RATE = 500
const RSA_RATE = 50
const AES_CONNECTIONS = 32
const RSA_CONNECTIONS = 8
const ALONE = 'AES alone'
const BESIDE = 'AES beside RSA'

export const rsa: Figure = {
  name: 'rsa',
  title: `${RSA_RATE} RSA-4096 unwraps/s beside ${AES_RATE} A256KWP wraps and unwraps/s, software store`,
  async measure(bench) {
    const { laboratory, plan } = bench
    await using gateway = await laboratory.gateway()
    const alg = 'A256KWP'
    const aes = makePair(
      { pathPrefix: prefixes.software, key: keyNames.aes, alg },
      laboratory.dataKey,
      laboratory.wrapped(alg),
    )
    const secret = randomBytes(32)
    const unwrap = makeCall({
      pathPrefix: prefixes.software,
      key: keyNames.rsa,
      operation: 'unwrapkey',
      alg: 'RSA-OAEP-256',
      value: oaepWrap(await laboratory.rsa(), 'sha256', secret),
      result: secret,
    })
    for (const call of [...aes, unwrap]) await untilRight(gateway, call)
    const aesConnections = await openConnections(gateway.target, AES_CONNECTIONS)
    const rsaConnections = await openConnections(gateway.target, RSA_CONNECTIONS)
    // These turns are longer than others, because a 99th percentile needs many requests.
    const seconds = 2 * plan.seconds

    const failures = new Map<string, number>()

    const run = async (rsaRate: number) => {
      const [ours, theirs] = await Promise.all([
        openLoop({ connections: aesConnections, calls: aes, rate: AES_RATE }, seconds),
        openLoop({ connections: rsaConnections, calls: [unwrap], rate: rsaRate }, seconds),
      ])
      const failed = [ours, theirs].flatMap(({ failures }) => Object.entries(failures))
      for (const [how, count] of failed) failures.set(how, (failures.get(how) ?? 0) + count)
      return quantile(ours.times, 0.99)
    }
    await run(RSA_RATE)
    failures.clear()
    const results = await inTurns(bench, [
      { name: ALONE, turn: () => run(0) },
      { name: BESIDE, turn: () => run(RSA_RATE) },
    ])
    for (const connection of [...aesConnections, ...rsaConnections]) connection.close()
    const values = (name: string) => results.get(name) ?? []
    return {
      checks: [
        {
          what: '99th percentile of the AES requests rises by',
          relation: 'at most',
          target: 5,
          unit: 'ms',
          measured: spreadOf(paired(values(BESIDE), values(ALONE), difference)),
        },
        {
          what: 'failed requests of both kinds',
          relation: 'at most',
          target: 0,
          unit: 'of',
          measured: spreadOf([sum(failures.values())]),
        },
      ],
      series: [ALONE, BESIDE].map((what) => ({ what, unit: 'ms at the 99th percentile', values: values(what) })),
      notes: [
        `Open loop, ${seconds} s a turn. The private operations share the gateway's one core.`,
        ...[...failures].map(([how, count]) => `${count} × ${how}`),
      ],
    }
  },
}
