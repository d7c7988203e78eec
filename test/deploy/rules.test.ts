import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { alertCases } from './support/alert-cases.ts'
import { promtool } from './support/component.ts'
import { counter, promtoolTest } from './support/timeline.ts'

const root = new URL('../..', import.meta.url).pathname
const rules = join(root, 'deploy/prometheus/rules.yaml')

interface Rule {
  readonly alert: string
  readonly annotations: { readonly runbook: string }
}
const { groups } = parse(readFileSync(rules, 'utf8')) as { groups: { rules: Rule[] }[] }
const alerts = groups.flatMap((group) => group.rules)

let workspace: Workspace
beforeAll(async () => {
  workspace = await makeWorkspace()
})
afterAll(() => workspace.remove())

it('Prometheus accepts the rules', async () => {
  expect((await promtool('check', 'rules', rules)).stdout).toContain(`${alerts.length} rules found`)
})

it('every alert has a case', () => {
  expect([...new Set(alertCases.map(({ alert }) => alert))].sort()).toEqual(alerts.map(({ alert }) => alert).sort())
})

it('every alert has an entry in the runbooks, with what it means and what to do, and no entry is without an alert', () => {
  const page = readFileSync(join(root, 'docs/runbooks.md'), 'utf8')
  const entries = page
    .split(/^## /m)
    .slice(1)
    .filter((entry) => entry.startsWith('Ekm'))
  const anchors = entries.map((entry) => `docs/runbooks.md#${(entry.split('\n')[0] ?? '').toLowerCase()}`)
  expect(alerts.map(({ annotations }) => annotations.runbook).sort()).toEqual(anchors.sort())
  for (const entry of entries) {
    for (const part of ['**Symptom.**', '**Meaning.**', '**What to do.**']) expect(entry).toContain(part)
  }
})

describe('quiet, a first burst, a fault that lasts, and its end', () => {
  it.each(alertCases.map((one) => [`${one.alert}${one.of === undefined ? '' : `: ${one.of}`}`, one] as const))(
    '%s',
    async (_name, one) => {
      const file = await workspace.write('case.yaml', promtoolTest(one, rules))
      expect((await promtool('test', 'rules', file)).stdout).toContain('SUCCESS')
    },
  )
})

it('the same cases fail without a fault', async () => {
  const [{ alert, burst, series } = alertCases[0] as never] = alertCases
  const without = Object.fromEntries(
    Object.keys(series).map((name) => [name, counter({ quiet: 0, burst: 0, sustained: 0 })]),
  )
  const file = await workspace.write('case.yaml', promtoolTest({ alert, burst, series: without }, rules))
  await expect(promtool('test', 'rules', file)).rejects.toThrow('FAILED')
})

it('a heartbeat that never came is missed 15 minutes after the start', async () => {
  const series = {
    'ekm_requests_total{job="ekm-gateway",pool="contoso",operation="info",status="200"}': counter({
      quiet: 0,
      burst: 0,
      sustained: 0,
    }),
    'ekm_pool_ready{job="ekm-gateway",pool="contoso"}': counter({ quiet: 0, burst: 0, sustained: 0 }),
  }
  const text = promtoolTest({ alert: 'EkmNoOperations', series, burst: true }, rules)
  const edited = parse(text) as { tests: { promql_expr_test: object[] }[] }
  const [test] = edited.tests
  const expr = 'count(ALERTS{alertname="EkmNoOperations",alertstate="firing"}) or vector(0)'
  if (test !== undefined) {
    test.promql_expr_test = [
      { expr, eval_time: '5m', exp_samples: [{ value: 0 }] },
      { expr, eval_time: '16m', exp_samples: [{ value: 1 }] },
    ]
  }
  const file = await workspace.write('case.yaml', JSON.stringify(edited))
  expect((await promtool('test', 'rules', file)).stdout).toContain('SUCCESS')
})
