import type { AdapterError, KeySummary } from '../../../adapters/contract/index.ts'
import type { Findings, More } from './findings.ts'
import type { KeyQuestion, WantedKey } from './key-question.ts'
import { nearMiss } from './near-miss.ts'
import { quoted } from '../../base/shell.ts'
import { startedAs } from '../started-as.ts'
import { dayOf, daysUntil, WARNING_DAYS } from './x509.ts'

const namesakes = ({ ref }: WantedKey, all: readonly KeySummary[]) => all.filter(({ name }) => name === ref)

/** What to do about a key that the backend does not let the gateway use. */
export function tellUnusable(key: WantedKey, error: AdapterError, question: KeyQuestion, findings: Findings): void {
  const more = {
    subject: key.subject,
    fields: { code: error.code, ...(error.detail !== undefined && { detail: error.detail }) },
  }
  if (error.code === 'KEY_AMBIGUOUS') {
    findings.problem('key.unique', error.message, {
      ...more,
      advice: 'rename all but one, or name the right one with ref',
      command: listCommand(question),
    })
  } else if (error.code === 'KEY_NOT_FOUND') tellMissing(key, error, question, more, findings)
  else if (error.code === 'KEY_DISABLED') {
    findings.problem('key.found', `not in use: ${error.message}`, { ...more, ...enabling(key, question) })
  } else {
    findings.problem('key.found', `cannot be used (${error.code}): ${error.message}`, {
      ...more,
      advice: hints[error.code] ?? 'find out what is wrong with the backend',
    })
  }
}

const listCommand = ({ backend, config }: KeyQuestion): string =>
  `${startedAs()} keys list --config ${quoted(config)} --backend ${backend}`

function tellMissing(
  { subject, name, ref }: WantedKey,
  { message }: AdapterError,
  question: KeyQuestion,
  more: More,
  findings: Findings,
): void {
  const { all = [], row } = question
  const found = `not there: ${message}`
  const help = { ...more, command: listCommand(question) }
  const close = row.isName(ref) ? all.filter((other) => nearMiss(ref, other.name) !== undefined) : []
  const [first] = close
  if (first === undefined) {
    findings.problem('key.found', found, { ...help, advice: "create the key, or correct the pool's keys" })
    return
  }
  findings.problem('key.found', found, {
    ...help,
    advice: `did you mean ${first.name}? write ${name}: { ref: ${first.name} } in the pool's keys, or use that name in Azure`,
  })
  for (const { name: other } of close) {
    findings.warning('key.near-miss', `the backend has ${other}, which ${nearMiss(ref, other) ?? ''}`, {
      subject,
      advice: 'see key.found',
    })
  }
}

const enabling = ({ ref }: WantedKey, { row, config, backend }: KeyQuestion): Pick<More, 'advice' | 'command'> =>
  row.check.enabledBy === 'keys enable'
    ? {
        advice: 'enable it if it is disabled',
        command: `${startedAs()} keys enable ${ref} --config ${quoted(config)} --backend ${backend}`,
      }
    : { advice: "activate it with the backend's own tools" }

const hints: Readonly<Partial<Record<AdapterError['code'], string>>> = {
  KEY_UNSUPPORTED: 'use a key that the API knows: AES of 256 bits, or RSA of 2048, 3072 or 4096 bits',
  OPERATION_FORBIDDEN: "change the key's policy in the backend",
}

export function checkNames(key: WantedKey, question: KeyQuestion, findings: Findings): void {
  const { subject, ref } = key
  const { all, row } = question
  // Only names can be ambiguous.
  if (!row.isName(ref)) return
  if (all === undefined) {
    findings.notChecked('key.unique', "the backend's keys cannot be listed", { subject })
    return
  }
  findings.ok('key.unique', `no other key has the name ${ref}`, { subject })
  // Keys of successive years differ by one character, on purpose.
  const close = all.filter(({ name }) => /case|punctuation/.test(nearMiss(ref, name) ?? ''))
  for (const { name } of close) {
    findings.warning('key.near-miss', `the backend also has ${name}, which ${nearMiss(ref, name) ?? ''}`, {
      subject,
      advice: 'make sure that Azure has the right name: it cannot be changed there',
      command: listCommand(question),
    })
  }
  if (close.length === 0) findings.ok('key.near-miss', 'no key has nearly this name', { subject })
}

export function checkEnd(key: WantedKey, { all = [], row }: KeyQuestion, findings: Findings): void {
  const [summary] = row.isName(key.ref) ? namesakes(key, all) : []
  if (summary?.expires === undefined) return
  const daysLeft = daysUntil(summary.expires)
  const found = `valid until ${dayOf(summary.expires)}, ${daysLeft} days left`
  const more = { subject: key.subject, fields: { daysLeft } }
  if (daysLeft >= WARNING_DAYS) findings.ok('key.expiry', found, more)
  else {
    const advice = 'before then, create its successor, and a new version of the key in Azure'
    findings.warning('key.expiry', found, { ...more, advice })
  }
}
