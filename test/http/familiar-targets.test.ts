import { expect, it } from 'vitest'
import { FamiliarTargets, type Destination } from '../../src/http/route-table.ts'

it('the cache of request targets keeps the latest, and is bounded', () => {
  const familiar = new FamiliarTargets()
  const destinations = Array.from({ length: 2500 }, (_, at) => ({ keyName: `key-${at}` }) as Destination)
  const target = ({ keyName }: Destination) => `/azureekm/${keyName}/wrapkey`
  for (const destination of destinations) {
    familiar.add(target(destination), destination)
    expect(familiar.get(target(destination))).toBe(destination)
  }
  const kept = destinations.filter((destination) => familiar.get(target(destination)) !== undefined)
  expect(kept.length).toBeGreaterThan(0)
  expect(kept.length).toBeLessThanOrEqual(1000)
})
