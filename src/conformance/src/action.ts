import { conformanceDocument } from './document.ts'
import { listAsJson, listAsText } from './listing.ts'
import { CouldNotRun } from './outcome.ts'
import { ProgressLine } from './progress.ts'
import { reporters, type Format } from './reporters/index.ts'
import { runConformance } from './runner.ts'
import { styleFor, type Style } from './style.ts'
import { readTarget, type TargetOptions } from './target.ts'

export interface ConformanceOptions extends TargetOptions {
  readonly format: Format | 'markdown'
  readonly list?: true
  readonly only: readonly string[]
  readonly timeout: number
  readonly concurrency: number
  readonly load?: number
  readonly duration: number
  readonly connections: number
}

/** Exit statuses of the command. */
const CONFORMANT = 0
const NOT_CONFORMANT = 1
export const COULD_NOT_RUN = 2

/**
 * Runs the command under the name `program`.
 * @returns the exit status
 */
export async function conformance(program: string, given: Partial<ConformanceOptions>): Promise<number> {
  try {
    return await run(given as ConformanceOptions)
  } catch (error) {
    if (!(error instanceof CouldNotRun)) throw error
    process.stderr.write(`${program}: ${error.message}\n`)
    return COULD_NOT_RUN
  }
}

async function run(options: ConformanceOptions): Promise<number> {
  const { format, only, timeout, concurrency, load, duration: seconds, connections } = options
  const style = styleFor(process.stdout, process.env)
  if (options.list) {
    await write(list(format, style))
    return CONFORMANT
  }
  if (format === 'markdown') throw new CouldNotRun('--format markdown is for --list')
  for (const name of ['url', 'ca', 'cert', 'key'] as const) {
    if (options[name] === undefined) throw new CouldNotRun(`--${name} is required`)
  }
  const progress = new ProgressLine(process.stderr)
  const report = await runConformance({
    target: await readTarget(options),
    only,
    concurrency,
    timeoutMs: timeout * 1000,
    ...(load !== undefined && { load: { rate: load, seconds, connections } }),
    onResult: (result, done, total) => progress.result(result, done, total),
    onProgress: (text) => progress.show(text),
  })
  progress.clear()
  await write(reporters[format](report, style))
  return report.conformant ? CONFORMANT : NOT_CONFORMANT
}

function list(format: ConformanceOptions['format'], style: Style): string {
  switch (format) {
    case 'text':
      return listAsText(style)
    case 'json':
      return listAsJson()
    case 'markdown':
      return conformanceDocument()
    case 'tap':
    case 'junit':
    case 'html':
      throw new CouldNotRun('--list has the formats text, json and markdown')
  }
}

/** A pipe accepts a long text in parts. The promise resolves when all are written. */
const write = (text: string): Promise<void> => new Promise((resolve) => process.stdout.write(text, () => resolve()))
