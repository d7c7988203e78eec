import { version } from '../../../base/version.ts'
import { visible } from '../../../base/visible.ts'
import { checks } from '../catalogue.ts'
import type { Report } from '../run.ts'

/** For programs. Members may be added. Within one version of the format no member is removed or changes its meaning. */
export function jsonReport({ config, startedAt, seconds, counts, findings }: Report): string {
  const all = {
    format: 1,
    version,
    config,
    startedAt: startedAt.toISOString(),
    seconds,
    passed: counts.problem === 0,
    counts: { ok: counts.ok, warning: counts.warning, problem: counts.problem, notChecked: counts['not checked'] },
    findings: findings.map(({ id, ...finding }) => ({ id, checked: checks[id], ...finding })),
  }
  return visible(JSON.stringify(all, undefined, 2)) + '\n'
}
