import { stringify } from 'yaml'

/** Seconds between samples, and between evaluations. */
const STEP_S = 15
const perMinute = 60 / STEP_S

/**
 * The begin of each part of a timeline in minutes: quiet at first, one sample of the fault, a lasting fault, and its
 * end.
 */
const BURST = 20
const SUSTAINED = 40
const RECOVERED = 60
const END = 80

/** The values of the four parts. Each is a gauge's value, or a counter's increase at each step. */
export interface Course {
  readonly quiet: number
  readonly burst: number
  readonly sustained: number
}

const steps = Array.from({ length: END * perMinute + 1 }, (_, step) => step)
const partOf = (step: number): keyof Course => {
  const minute = step / perMinute
  if (minute === BURST) return 'burst'
  return minute >= SUSTAINED && minute < RECOVERED ? 'sustained' : 'quiet'
}

export const gauge = (course: Course): number[] => steps.map((step) => course[partOf(step)])

export function counter(course: Course): number[] {
  let total = 0
  return steps.map((step) => (step === 0 ? 0 : (total += course[partOf(step)])))
}

/** Whether an alert fires in each part: at the burst, 19 minutes after it, and at the end of the other parts. */
export interface Firing {
  readonly quiet: boolean
  readonly burst: boolean
  readonly calm: boolean
  readonly sustained: boolean
  readonly recovered: boolean
}

const minuteOf: Readonly<Record<keyof Firing, number>> = {
  quiet: BURST - 1,
  burst: BURST,
  calm: SUSTAINED - 1,
  sustained: RECOVERED - 1,
  recovered: END,
}

export interface AlertCase {
  readonly alert: string
  /** Tells the cases of one alert apart, if there are several. */
  readonly of?: string
  /** Values by series, named as Prometheus prints it. */
  readonly series: Readonly<Record<string, readonly number[]>>
  readonly burst: boolean
}

/** A case for `promtool test rules`. */
export function promtoolTest({ alert, series, burst }: AlertCase, rules: string): string {
  const firing: Firing = { quiet: false, burst, calm: false, sustained: true, recovered: false }
  const parts = Object.keys(minuteOf) as (keyof Firing)[]
  return stringify({
    rule_files: [rules],
    evaluation_interval: `${STEP_S}s`,
    tests: [
      {
        interval: `${STEP_S}s`,
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values: values.join(' ') })),
        promql_expr_test: parts.map((part) => ({
          expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) > bool 0 or vector(0)`,
          eval_time: `${minuteOf[part]}m`,
          exp_samples: [{ value: Number(firing[part]) }],
        })),
      },
    ],
  })
}
