import type { AdapterError, KeyRef, KeySummary } from '../../../adapters/contract/index.ts'
import type { Findings, More } from './findings.ts'
import type { KeyQuestion, WantedKey } from './key-question.ts'
import { nearMiss } from './near-miss.ts'
import { quoted } from './words.ts'
import { dayOf, daysUntil, WARNING_DAYS } from './x509.ts'

/** A name can be taken twice only where the reference is a name. */
const isName = (ref: KeyRef): boolean => !/^(?:id|kmip|pkcs11):/.test(ref)

const namesakes = ({ ref }: WantedKey, all: readonly KeySummary[]) => all.filter(({ name }) => name === ref)

export function tellUnusable(
  key: WantedKey,
  error: AdapterError,
  { backend, kind, config, all }: KeyQuestion,
  findings: Findings,
): void {
  const { subject, name, ref } = key
  const fields = { code: error.code, ...(error.detail !== undefined && { detail: error.detail }) }
  const list = `ekm-gateway keys list --config ${quoted(config)} --backend ${backend}`
  if (error.code === 'KEY_AMBIGUOUS') {
    findings.problem('key.unique', error.message, {
      subject,
      fields,
      advice: 'rename all but one, or say which is meant with ref',
      command: list,
    })
    return
  }
  if (error.code === 'KEY_NOT_FOUND') {
    const close = isName(ref) ? (all ?? []).filter((other) => nearMiss(ref, other.name) !== undefined) : []
    const [first] = close
    if (first === undefined) {
      const advice = "make it, or correct the pool's list by what there is"
      findings.problem('key.found', `not there: ${error.message}`, { subject, fields, advice, command: list })
    } else {
      findings.problem('key.found', `not there: ${error.message}`, {
        subject,
        fields,
        advice: `is ${first.name} meant? write ${name}: { ref: ${first.name} } in the pool's keys, or that name in Azure`,
        command: list,
      })
      for (const { name: other } of close) {
        findings.warning('key.near-miss', `the backend has ${other}, which ${nearMiss(ref, other) ?? ''}`, {
          subject,
          advice: 'see key.found',
        })
      }
    }
    return
  }
  const more: More = { subject, fields }
  if (error.code === 'KEY_DISABLED' && kind === 'software') {
    const command = `ekm-gateway keys enable ${ref} --config ${quoted(config)} --backend ${backend}`
    findings.problem('key.found', `not in use: ${error.message}`, { ...more, advice: 'if it is disabled, enable it', command })
  } else if (error.code === 'KEY_DISABLED') {
    findings.problem('key.found', `not in use: ${error.message}`, { ...more, advice: "activate it with the backend's own tools" })
  } else {
    findings.problem('key.found', `cannot be used (${error.code}): ${error.message}`, { ...more, advice: hints[error.code] ?? 'look at the backend' })
  }
} // prettier-ignore

const hints: Readonly<Partial<Record<AdapterError['code'], string>>> = {
  KEY_UNSUPPORTED: 'the API knows AES of 256 bits and RSA of 2048, 3072 and 4096',
  OPERATION_FORBIDDEN: "change the key's policy in the backend",
}

export function checkNames(key: WantedKey, { all, backend, config }: KeyQuestion, findings: Findings): void {
  const { subject, ref } = key
  if (!isName(ref)) return
  if (all === undefined) {
    findings.notChecked('key.unique', "the backend's keys cannot be listed", { subject })
    return
  }
  findings.ok('key.unique', `the only key of the name ${ref}`, { subject })
  // Keys of successive years differ by a character, on purpose.
  const close = all.filter(({ name }) => /case|punctuation/.test(nearMiss(ref, name) ?? ''))
  for (const { name } of close) {
    findings.warning('key.near-miss', `there is ${name} too, which ${nearMiss(ref, name) ?? ''}`, {
      subject,
      advice: 'be sure that Azure was told the right one: it cannot be changed there',
      command: `ekm-gateway keys list --config ${quoted(config)} --backend ${backend}`,
    })
  }
  if (close.length === 0) findings.ok('key.near-miss', 'no key has nearly this name', { subject })
}

export function checkEnd(key: WantedKey, { all = [] }: KeyQuestion, findings: Findings): void {
  const [summary] = isName(key.ref) ? namesakes(key, all) : []
  if (summary?.expires === undefined) return
  const daysLeft = daysUntil(summary.expires)
  const found = `may be used until ${dayOf(summary.expires)}, ${daysLeft} days left`
  const more = { subject: key.subject, fields: { daysLeft } }
  if (daysLeft >= WARNING_DAYS) findings.ok('key.expiry', found, more)
  else {
    const advice = 'make its successor, and a new version of the key in Azure, before then'
    findings.warning('key.expiry', found, { ...more, advice })
  }
}
