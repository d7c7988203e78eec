export { needs, type Case, type CaseResult, type Need, type Phase, type Severity } from './case.ts'
export { catalogue, sections, type Section } from './catalogue.ts'
export { conformanceCommand } from './command.ts'
export {
  BUDGET_MS,
  bucketsOf,
  Measurements,
  statisticsOf,
  type Bucket,
  type LoadPlan,
  type LoadResult,
  type Statistics,
} from './measurements.ts'
export { CouldNotRun, type Outcome, type Step } from './outcome.ts'
export { ProgressLine } from './progress.ts'
export { formats, reporters, type Format } from './reporters/index.ts'
export { runConformance, type Report, type RunOptions } from './runner.ts'
export { styleFor, type Style } from './style.ts'
export { readTarget, type ClientIdentity, type Target, type TargetOptions } from './target.ts'
