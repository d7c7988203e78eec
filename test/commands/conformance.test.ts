import { expect, it } from 'vitest'
import { catalogue } from '../../src/conformance/src/index.ts'
import { run } from './cli.ts'

it('ekm-gateway conformance prints the catalogue of ekm-conformance', async () => {
  const { code, stdout, stderr } = await run(['conformance', '--list', '--format', 'json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect((JSON.parse(stdout) as { id: string }[]).map(({ id }) => id)).toEqual(catalogue.map(({ id }) => id))
})

it('ekm-gateway conformance ends with 2 where it cannot run, and says so under its own name', async () => {
  const { code, stderr } = await run(['conformance'])
  expect({ code, stderr }).toEqual({ code: 2, stderr: 'ekm-gateway conformance: --url is required\n' })
})
