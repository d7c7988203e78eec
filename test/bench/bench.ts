/**
 * `npm run bench`: how fast the gateway is, compared with a reference that is measured in the same run. See
 * docs/performance.md.
 */
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { ProgressLine } from '../../src/conformance/src/index.ts'
import { NotAvailable, passes, type Bench, type Figure, type Plan } from './figure.ts'
import { figures } from './figures/index.ts'
import { Laboratory } from './laboratory.ts'
import { describeMachine, loadNow, takeCores } from './machine.ts'
import { renderDocs, writeDocs } from './report/document.ts'
import type { FigureResult, Run } from './report/results.ts'
import { tableOf } from './report/table.ts'

interface Options {
  readonly quick?: true
  readonly json?: string
  readonly writeDocs?: true
  readonly renderDocs?: true
  readonly node: string
  readonly repetitions?: number
  readonly seconds?: number
  readonly minutes?: number
  readonly cli?: string
}

const full: Plan = {
  repetitions: 7,
  seconds: 3,
  warmUpSeconds: 3,
  serialRequests: 1000,
  handshakes: 1500,
  rateSeconds: 60,
  soakMinutes: 30,
}
const quick: Plan = {
  repetitions: 3,
  seconds: 1,
  warmUpSeconds: 1,
  serialRequests: 300,
  handshakes: 100,
  rateSeconds: 6,
  soakMinutes: 1,
}

/** Programs that explain a decision. Each prints its own report. */
const studies = ['pkcs11-adapter', 'pkcs11-isolation']

function positive(text: string): number {
  const value = Number(text)
  if (value > 0) return value
  throw new InvalidArgumentError('must be a positive number.')
}

const list = [
  ...figures.map(
    ({ name, title, onlyByName }) => `  ${name.padEnd(18)} ${title}${onlyByName ? ' (only by name)' : ''}`,
  ),
  ...studies.map(
    (name) => `  ${name.padEnd(18)} the measurement behind docs/adr/0002-pkcs11-isolation.md (only by name)`,
  ),
]

const command = new Command('npm run bench --')
  .description('Measures the gateway against what it must be compared with, side by side in one run.')
  .argument('[name...]', 'figures to measure; everything that is not long if none is named')
  .option('--quick', 'few and short repetitions: to see that it runs, not for its numbers')
  .option('--json <file>', 'write all results there')
  .option('--write-docs', 'bring docs/performance.md, its chart and the times of docs/fleet.md up to date')
  .option('--render-docs', 'make them from docs/performance.json, and measure nothing')
  .option('--node <binary>', 'the Node.js that runs the servers', process.execPath)
  .option('--repetitions <number>', 'turns of each side', positive)
  .option('--seconds <number>', 'how long a turn of full speed lasts', positive)
  .option('--minutes <number>', 'how long the soak lasts', positive)
  .option('--cli <file>', 'dist/programs/cli.js of another build, for the figure "builds"')
  .addHelpText('after', `\nFigures:\n${list.join('\n')}`)
  .action(async (names: string[], options: Options) => {
    process.exitCode = await bench(names, options)
  })
await command.parseAsync()

/** Resolves with the exit status: 0 if every target that could be measured is met. */
async function bench(names: readonly string[], options: Options): Promise<number> {
  if (options.renderDocs) {
    await renderDocs()
    return 0
  }
  const known = [...figures.map(({ name }) => name), ...studies]
  const unknown = names.filter((name) => !known.includes(name))
  if (unknown.length > 0) command.error(`error: no figure ${unknown.join(', ')}; there are ${known.join(', ')}`)
  for (const name of studies.filter((study) => names.includes(study))) {
    const program = fileURLToPath(new URL(`${name}.js`, import.meta.url))
    const { status } = spawnSync(process.execPath, [program], { stdio: 'inherit' })
    if (status !== 0) return 1
  }
  const wanted = figures.filter(({ name, onlyByName }) => (names.length > 0 ? names.includes(name) : !onlyByName))
  if (wanted.length === 0) return 0

  const plan: Plan = {
    ...(options.quick ? quick : full),
    ...(options.repetitions !== undefined && { repetitions: options.repetitions }),
    ...(options.seconds !== undefined && { seconds: options.seconds }),
    ...(options.minutes !== undefined && { soakMinutes: options.minutes }),
  }
  const cores = takeCores()
  const machine = describeMachine(options.node, cores.placement)
  const laboratory = await Laboratory.open(options.node, cores)
  const line = new ProgressLine(process.stderr)
  const results: FigureResult[] = []
  for (const figure of wanted) {
    const progress = (text: string) => line.show(`${figure.name}: ${text}`)
    results.push(await measure(figure, { laboratory, plan, progress, ...(options.cli && { otherCli: options.cli }) }))
  }
  line.clear()
  const run: Run = { machine, plan, figures: results }
  process.stdout.write(tableOf(run))
  if (options.json !== undefined) await writeFile(options.json, JSON.stringify(run, null, 2) + '\n')
  if (options.writeDocs) await writeDocs(run, known)
  const met = results.every(({ failed, outcome }) => failed === undefined && (outcome?.checks.every(passes) ?? true))
  return met ? 0 : 1
}

async function measure(figure: Figure, given: Bench): Promise<FigureResult> {
  const { name, title } = figure
  const result = { name, title, measuredAt: new Date().toISOString(), loadBefore: loadNow() }
  try {
    return { ...result, outcome: await figure.measure(given) }
  } catch (error) {
    if (error instanceof NotAvailable) return { ...result, notAvailable: error.message }
    return { ...result, failed: error instanceof Error ? error.message : String(error) }
  }
}
