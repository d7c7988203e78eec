import { describe, expect, it } from 'vitest'
import { catalogue } from '../src/catalogue.ts'
import { makeLaboratory } from './laboratory.ts'
import { mutations } from './wrong-proxies/index.ts'

describe('the catalogue of conformance cases', () => {
  it('has each id once', () => {
    const ids = catalogue.map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)])
    for (const id of ids) expect(id).toMatch(/^[a-z0-9-]+\.[a-z0-9-]+$/)
  })

  it('has no case that passes against every wrong proxy', () => {
    const catching = new Set(Object.values(mutations).flatMap((rows) => rows.flatMap(({ caughtBy }) => caughtBy)))
    expect(catalogue.map(({ id }) => id).filter((id) => !catching.has(id))).toEqual([])
    expect([...catching].filter((id) => !catalogue.some((entry) => entry.id === id))).toEqual([])
  })

  it('passes on a correct proxy', async () => {
    const laboratory = makeLaboratory()
    const { results, conformant, measurements } = await laboratory.test({})
    const other = results.filter(({ outcome }) => outcome !== 'passed')
    expect(other.map(({ id, outcome, last }) => [id, outcome, last])).toEqual([
      ['throttle.code', 'not run', undefined],
      ['throttle.retry-after', 'not run', undefined],
    ])
    expect(conformant).toBe(true)
    expect(measurements.load).toMatchObject({ rate: 100, seconds: 1, sent: 101, failures: {} })
    for (const name of ['first call', 'resumed', 'keep-alive', 'load, info', 'load, wrapkey', 'load, unwrapkey']) {
      expect([name, measurements.of(name).length > 0]).toEqual([name, true])
    }
  })
})
