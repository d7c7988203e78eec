import type { Facts } from '../../../adapters/contract/index.ts'
import { checkIds, isWanted, type CheckId } from './catalogue.ts'

export const statuses = ['ok', 'warning', 'problem', 'not checked'] as const
export type Status = (typeof statuses)[number]

/** One line of the report. */
export interface Finding {
  readonly id: CheckId
  readonly status: Status
  /** What it is about, if there can be several: a file, a pool, a backend, `pool/key`. */
  readonly subject?: string
  /** What was found; never a secret. */
  readonly found: string
  /** What to do about it. */
  readonly advice?: string
  /** A command to type as it is, except for words in capitals. */
  readonly command?: string
  /** What was found, for programs. */
  readonly fields?: Facts
}

export type More = Pick<Finding, 'subject' | 'advice' | 'command' | 'fields'>

/** The findings so far. */
export class Findings {
  /** Includes findings that are not reported, because other checks need them. */
  readonly all: Finding[] = []
  readonly #only: readonly string[]
  readonly #onFinding: (finding: Finding) => void

  /** @param only ids or groups to report; everything if empty */
  constructor(only: readonly string[] = [], onFinding: (finding: Finding) => void = () => undefined) {
    this.#only = only
    this.#onFinding = onFinding
  }

  get reported(): Finding[] {
    return this.all.filter(({ id }) => isWanted(id, this.#only))
  }

  /** Whether any of these checks or groups is reported. */
  wants(...names: readonly string[]): boolean {
    return checkIds.some((id) => isWanted(id, names) && isWanted(id, this.#only))
  }

  ok(id: CheckId, found: string, more: More = {}): void {
    this.add({ id, status: 'ok', found, ...more })
  }

  warning(id: CheckId, found: string, more: More = {}): void {
    this.add({ id, status: 'warning', found, ...more })
  }

  problem(id: CheckId, found: string, more: More = {}): void {
    this.add({ id, status: 'problem', found, ...more })
  }

  /** @param why it was not checked; `more.advice` says how it can be */
  notChecked(id: CheckId, why: string, more: More = {}): void {
    this.add({ id, status: 'not checked', found: why, ...more })
  }

  add(finding: Finding): void {
    const { subject, advice, command } = finding
    const clean: Finding = {
      ...finding,
      found: printable(finding.found),
      ...(subject !== undefined && { subject: printable(subject) }),
      ...(advice !== undefined && { advice: printable(advice) }),
      ...(command !== undefined && { command: printable(command) }),
    }
    this.all.push(clean)
    if (isWanted(clean.id, this.#only)) this.#onFinding(clean)
  }
}

/** Certificates and servers choose their own names, which end up on a terminal. */
const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim()
