import { expect, it } from 'vitest'
import type { KeyRef } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/software/index.ts'
import { contextOf } from '../support/context.ts'
import { eventually } from '../support/eventually.ts'
import { octKey, Reports, temporaryStore } from './fixtures.ts'

it('a running software store notices a new key within three seconds', async () => {
  const { store, directory, remove, ...options } = await temporaryStore()
  const adapter = await open({ directory, ...options }, new Reports().report)
  const context = contextOf(new AbortController().signal, Infinity, 'test')
  const from = performance.now()
  await store.add(octKey('added'))
  await eventually(() => adapter.describe('added' as KeyRef, context))
  expect(performance.now() - from).toBeLessThan(3000)
  await adapter.close()
  await remove()
})
