import { beforeAll, describe, expect, it } from 'vitest'
import { catalogue } from '../src/catalogue.ts'
import { makeLaboratory, type Laboratory } from './laboratory.ts'
import type { Mutation } from './wrong-proxies/mutation.ts'

/** EKM_CONFORMANCE_FULL=1 tests every wrong proxy with every case, which takes minutes. */
const FULL = process.env['EKM_CONFORMANCE_FULL'] === '1'

/** Quick groups, which run against every wrong proxy. Other groups run only where a case of theirs must fail. */
const ALWAYS = ['api-version', 'info', 'metadata', 'reply', 'error', 'throttle']
/** Groups with ordinary calls, so that the cases that judge every answer have answers to judge. */
const TALKATIVE = ['encoding', 'a256kw', 'alg']
/** Slow cases, which run only where they must fail. */
const SLOW = ['a256kw.integrity', 'a256kwp.integrity', 'a256kwp.round-trip', 'client.before-the-body', 'http.too-large']

const groupOf = (id: string) => id.split('.')[0] ?? ''

/** The cases that test a wrong proxy. */
function casesFor(caughtBy: readonly string[]): string[] {
  const ids = catalogue.map(({ id }) => id)
  if (FULL) return ids.filter((id) => !['latency', 'load'].includes(groupOf(id)) || caughtBy.includes(id))
  const groups = new Set([...ALWAYS, ...caughtBy.map(groupOf)])
  const judgesAnswers = caughtBy.some((id) => ['reply', 'error', 'throttle'].includes(groupOf(id)))
  for (const group of judgesAnswers ? TALKATIVE : []) groups.add(group)
  return ids.filter((id) => caughtBy.includes(id) || (groups.has(groupOf(id)) && !SLOW.includes(id)))
}

/** Each wrong proxy fails exactly the cases that its row names. */
export function describeWrongProxies(mutations: readonly Mutation[]): void {
  let laboratory: Laboratory
  beforeAll(() => {
    laboratory = makeLaboratory()
  })

  describe('the suite catches a proxy that', () => {
    it.each(mutations)('$name', async ({ change, caughtBy, options }) => {
      const behaviour = typeof change === 'function' ? change(laboratory.pki) : change
      const aesKeys = FULL || caughtBy.includes('key-wrap.keys-differ') ? ['aes-1', 'aes-2'] : ['aes-1']
      const report = await laboratory.test(behaviour, { only: casesFor(caughtBy), ...options }, aesKeys)
      const failed = report.results.filter(({ outcome }) => outcome === 'failed')
      const told = failed.filter(({ id }) => !caughtBy.includes(id)).map(({ id, last }) => ({ id, last }))
      expect({ failed: failed.map(({ id }) => id).sort(), told }).toEqual({ failed: [...caughtBy].sort(), told: [] })
      expect(report.conformant).toBe(!failed.some(({ severity }) => severity === 'must'))
    })
  })
}
