import { AdapterError, OperatorError, type KeyAdapter } from '../../../adapters/contract/index.ts'
import { backendSchema, initOf, kindChoices, openBackend, rowOf, type BackendConfig } from '../../backends/index.ts'
import type { Section } from '../../backends/interview.ts'
import { at } from '../../config/problem.ts'
import { callWithin, TooSlow, within } from '../check/time-limit.ts'
import type { Answers } from './answers.ts'
import { within as earlierIn } from './earlier.ts'
import { questions } from './questions.ts'
import { parsed } from './trying.ts'

const OPEN_MS = 30_000
const PROBE_MS = 5000

export interface AskedBackend {
  /** Its name in the configuration. */
  readonly name: string
  /** With its kind, as it stands in the configuration. */
  readonly section: Readonly<Record<string, unknown>>
  readonly comments: Section['comments']
  /** For this session: one connection is enough. */
  readonly settings: BackendConfig
  /** Absent where the first key makes it. */
  readonly adapter: KeyAdapter | undefined
  /** References of keys of which the backend says that they could leave it. */
  readonly exposed: Set<string>
}

/** Asks for the backend until one is open and answers. Rejects with an OperatorError where no further try can be made. */
export async function askBackend(
  answers: Answers,
  data: unknown,
  earlierName: string | undefined,
): Promise<AskedBackend> {
  const before = earlierName === undefined ? undefined : at(data, ['backends', earlierName])
  const earlierKind = at(before, ['kind'])
  const asked = { ...questions.kind, ...(typeof earlierKind === 'string' && { fallback: earlierKind }) }
  const kind = await answers.choose(asked, kindChoices())
  const row = initOf(kind)
  if (row === undefined) throw new Error(`no row for ${kind}`)
  const isSame = earlierKind === kind
  answers.earlier = isSame ? earlierIn(before) : () => undefined
  const taken = at(data, ['backends', row.name])
  const name = isSame && earlierName !== undefined ? earlierName : taken === undefined ? row.name : `${row.name}-2`
  for (;;) {
    const { settings: written, comments } = await row.section(answers)
    const section = { kind, ...written }
    const whole = parsed(backendSchema(answers.references), section)
    const settings = rowOf(whole).share(whole, () => 1)
    const exposed = new Set<string>()
    const adapter = await opened(answers, settings, exposed)
    if (adapter !== 'again') return { name, section, comments, settings, adapter, exposed }
  }
}

/** `again` where the answers are to be asked anew. */
async function opened(
  answers: Answers,
  settings: BackendConfig,
  exposed: Set<string>,
): Promise<KeyAdapter | undefined | 'again'> {
  const { init, check } = rowOf(settings)
  let adapter: KeyAdapter | undefined
  let refused: unknown
  try {
    adapter = await openForInit(settings, exposed)
    await callWithin(PROBE_MS, (context) => adapter?.probe(context) ?? Promise.resolve())
    const { vendor, name } = adapter.product
    answers.tell(`${check.opened}: ${vendor}, ${name}`)
    return adapter
  } catch (error) {
    refused = error
    await adapter?.close()
  }
  if (!(refused instanceof OperatorError || refused instanceof AdapterError || refused instanceof TooSlow))
    throw refused
  const code = refused instanceof OperatorError ? refused.code : undefined
  if (code !== undefined && code === init.emptyCode) return undefined
  const { found, isFinal } = await init.refusal(settings, code)
  const words = [refused.message, found].filter(Boolean).join('; ')
  if (isFinal || !answers.isAsking) throw new OperatorError(code ?? 'BACKEND_UNUSABLE', words)
  answers.tell(`no: ${words}`)
  return 'again'
}

/** @param exposed gets the references of keys that could leave the backend: of what it reports, the rest shows otherwise */
export const openForInit = (settings: BackendConfig, exposed: Set<string>): Promise<KeyAdapter> =>
  within(
    OPEN_MS,
    openBackend(settings, (_level, event, fields) => {
      if (event === rowOf(settings).check.exposedKey?.event) exposed.add(String(fields['key']))
    }),
    (late) => void late.close(),
  )
