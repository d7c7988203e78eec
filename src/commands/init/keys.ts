import {
  isKeyName,
  KEY_NAME_RULE,
  OperatorError,
  rsaSizes,
  type KeyAdministration,
  type KeyRef,
  type KeySpec,
  type KeySummary,
} from '../../../adapters/contract/index.ts'
import { administerBackend, isLoginRefused, rowOf } from '../../backends/index.ts'
import type { Choice } from '../../backends/interview.ts'
import { Findings } from '../check/findings.ts'
import type { WantedKey } from '../check/key-question.ts'
import { checkKey } from '../check/keys.ts'
import type { Answers } from './answers.ts'
import { openForInit, type AskedBackend } from './backend.ts'
import { questions } from './questions.ts'
import { Unanswered } from './terminal.ts'
import { notesOf, problemsOf } from './trying.ts'

/** So many are looked at before one is chosen. */
const MOST_KEYS = 20

/** By the external key id. */
export type PoolKeys = Readonly<Record<string, { readonly ref?: string }>>

/** Shows what there is, makes what is wanted, and lets the operator choose: only what wraps and unwraps right is taken. */
export async function askKeys(
  answers: Answers,
  backend: AskedBackend,
  config: string,
  earlier: PoolKeys | undefined,
): Promise<PoolKeys> {
  const administration = await administerBackend(backend.settings)
  let all = backend.adapter === undefined ? [] : await administration?.list()
  let adapter = backend.adapter
  let trial = new KeyTrial(backend, adapter, config, all)
  try {
    let shown = await trial.choices()
    if (answers.isAsking && !answers.has('keys')) answers.list(shown)
    const made =
      administration === undefined ? [] : await makeKeys(answers, administration, all ?? [], earlier !== undefined)
    if (made.length > 0 || adapter === undefined) {
      await adapter?.close()
      adapter = await openForInit(backend.settings, backend.exposed)
      all = await administration?.list()
      trial = new KeyTrial(backend, adapter, config, all)
      shown = await trial.choices()
      if (answers.isAsking && !answers.has('keys')) answers.list(shown)
    }
    return await chooseKeys(answers, trial, shown, [...made], earlier)
  } finally {
    await adapter?.close()
  }
}

/** Names of the keys that were made, or were there as they were to be made. */
async function makeKeys(
  answers: Answers,
  administration: KeyAdministration,
  all: readonly KeySummary[],
  isSecondRun: boolean,
): Promise<string[]> {
  const made = new Set<string>()
  const first = all.length === 0 && !isSecondRun && !answers.has('keys')
  await answers.ask({ ...questions.newKeys, ...(!first && { fallback: '' }) }, async (answer) => {
    const wanted = answer === '' ? [] : answer.split(',').map((text) => newKey(text.trim()))
    assertOnce(wanted)
    for (const { name, spec } of wanted) {
      if (made.has(name)) continue
      const there = all.find((key) => key.name === name)
      if (there !== undefined) answers.tell(`${name} is there already, and is kept: ${there.kty} ${there.bits ?? '?'}`)
      else {
        const { kty, bits = spec.bits } = await administration.create(name, spec, {}).catch(notAgain)
        answers.tell(`made ${name}  ${kty} ${bits}`)
      }
      made.add(name)
    }
  })
  return [...made]
}

/** Another answer would make the login again. */
function notAgain(error: unknown): never {
  const isRefused = error instanceof OperatorError && isLoginRefused(error.code)
  throw isRefused ? new Unanswered(error.code, error.message) : error
}

/** Each name stands for one key. */
function assertOnce(keys: readonly { readonly name: string }[]): void {
  const names = keys.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) < index)
  if (twice !== undefined) throw new OperatorError('ANSWER_REFUSED', `${twice} is named twice`)
}

interface NewKey {
  readonly name: string
  readonly spec: KeySpec
}

/** `NAME:AES`, `NAME:AES-256`, `NAME:RSA`, `NAME:RSA-3072`. */
function newKey(text: string): NewKey {
  const [, name = '', type = '', size] = /^([^:]*):(AES|oct|RSA)(?:-(\d+))?$/i.exec(text) ?? []
  const isRsa = type.toUpperCase() === 'RSA'
  const bits = size === undefined ? (isRsa ? 3072 : 256) : Number(size)
  const sizes: readonly number[] = isRsa ? rsaSizes : [256]
  if (isKeyName(name) && sizes.includes(bits)) return { name, spec: { kty: isRsa ? 'RSA' : 'oct', bits } }
  throw new OperatorError(
    'ANSWER_REFUSED',
    `${text} is no key to make: write NAME:AES or NAME:RSA-${rsaSizes.join('|')}, with a name of ${KEY_NAME_RULE}`,
  )
}

async function chooseKeys(
  answers: Answers,
  trial: KeyTrial,
  shown: readonly Choice[],
  made: readonly string[],
  earlier: PoolKeys | undefined,
): Promise<PoolKeys> {
  const names = [
    ...Object.entries(earlier ?? {}).map(([name, { ref = name }]) => (ref === name ? name : `${name}=${ref}`)),
    ...made,
  ]
  const fallback = [...new Set(names)].join(',')
  let chosen: PoolKeys = {}
  await answers.ask({ ...questions.keys, ...(fallback !== '' && { fallback }) }, async (answer) => {
    const named = answer.split(',').flatMap((text) => text.trim() || [])
    if (named.length === 0) throw new OperatorError('ANSWER_REFUSED', 'name at least one key')
    const keys = answer === 'all' ? trial.all() : named.map((text) => choiceOf(text, shown, answers))
    if (keys.length === 0) throw new OperatorError('ANSWER_REFUSED', 'the backend has no key that could be used')
    assertOnce(keys)
    for (const { name, ref } of keys) answers.tell(`${name}: ${await trial.assertUsable(name, ref)}`)
    chosen = Object.fromEntries(keys.map(({ name, ref }) => [name, ref === name ? {} : { ref }]))
  })
  return chosen
}

interface ChosenKey {
  readonly name: string
  readonly ref: string
}

/** `3`, `payroll`, `payroll-2027=3`, `payroll-2027=id:a1b2`. */
function choiceOf(text: string, shown: readonly Choice[], { isAsking }: Answers): ChosenKey {
  const [, given, key = text] = /^([^=]*)=(.+)$/.exec(text) ?? []
  const isNumber = isAsking && /^\d+$/.test(key) && !shown.some(({ value }) => value === key)
  const ref = isNumber ? (shown[Number(key) - 1]?.value ?? key) : key
  const name = given ?? ref
  if (isKeyName(name)) return { name, ref }
  throw new OperatorError('ANSWER_REFUSED', `${name} cannot be a name in Azure (${KEY_NAME_RULE}): write NAME=${ref}`)
}

interface Tried {
  readonly usable: boolean
  /** What it does, or what is wrong with it. */
  readonly inWords: string
  readonly notes: readonly string[]
}

/** Uses keys once, as `check` does, and remembers how that went. */
class KeyTrial {
  readonly #backend: AskedBackend
  readonly #adapter: AskedBackend['adapter']
  readonly #config: string
  readonly #all: readonly KeySummary[] | undefined
  readonly #found = new Map<string, Tried>()

  constructor(
    backend: AskedBackend,
    adapter: AskedBackend['adapter'],
    config: string,
    all: readonly KeySummary[] | undefined,
  ) {
    this.#backend = backend
    this.#adapter = adapter
    this.#config = config
    this.#all = all
  }

  async choices(): Promise<Choice[]> {
    const names = [...new Set((this.#all ?? []).map(({ name }) => name))]
    const choices: Choice[] = []
    for (const [index, name] of names.entries()) {
      const summary = this.#all?.find((key) => key.name === name)
      const what = summary === undefined ? '' : `${summary.kty} ${summary.bits ?? '?'}`
      const inWords = index < MOST_KEYS ? (await this.#try(name, name)).inWords : 'not tried yet'
      choices.push({ value: name, label: `${what.padEnd(8)}  ${inWords}` })
    }
    return choices
  }

  /** Those that could be used, under their own names. */
  all(): ChosenKey[] {
    return [...this.#found].flatMap(([ref, { usable }]) => (usable && isKeyName(ref) ? [{ name: ref, ref }] : []))
  }

  /** What it does, in words. Rejects with an OperatorError for a key that cannot be used. */
  async assertUsable(name: string, ref: string): Promise<string> {
    const { usable, inWords, notes } = await this.#try(name, ref)
    if (usable) return [`a data key was wrapped with it, and came back: ${inWords}`, ...notes].join('\n   note: ')
    throw new OperatorError('ANSWER_REFUSED', `${name} cannot be served: ${inWords}`)
  }

  async #try(name: string, ref: string): Promise<Tried> {
    const before = this.#found.get(ref)
    if (before !== undefined) return before
    const { name: backend, settings, exposed } = this.#backend
    if (this.#adapter === undefined) return { usable: false, inWords: 'it is not there', notes: [] }
    const findings = new Findings()
    const key: WantedKey = { subject: name, name, ref: ref as KeyRef }
    const question = {
      adapter: this.#adapter,
      backend,
      row: rowOf(settings),
      config: this.#config,
      all: this.#all,
      exposed,
    }
    const usable = await checkKey(key, question, findings)
    const algorithms = usable?.algorithms ?? []
    const found =
      algorithms.length > 0
        ? { usable: true, inWords: algorithms.join(', '), notes: notesOf(findings.all) }
        : { usable: false, inWords: problemsOf(findings.all) ?? 'no algorithm works with it', notes: [] }
    this.#found.set(ref, found)
    return found
  }
}
