import type { Facts } from '../../../adapters/contract/index.ts'
import type { CheckId } from './catalogue.ts'

export const statuses = ['ok', 'warning', 'problem', 'not checked'] as const
export type Status = (typeof statuses)[number]

/** One line of the report. */
export interface Finding {
  readonly id: CheckId
  readonly status: Status
  /** What it is about, where there can be several: a file, a pool, a backend, `pool/key`. */
  readonly subject?: string
  /** What was found; never a secret. */
  readonly found: string
  /** What to do about it. */
  readonly advice?: string
  /** To be typed as it stands, but for words in capitals. */
  readonly command?: string
  /** What was found, for programs. */
  readonly fields?: Facts
}

export type More = Pick<Finding, 'subject' | 'advice' | 'command' | 'fields'>

/** What has been found so far. */
export class Findings {
  readonly all: Finding[] = []
  readonly #onFinding: (finding: Finding) => void

  constructor(onFinding: (finding: Finding) => void = () => undefined) {
    this.#onFinding = onFinding
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

  /** `why` it was not, and how it can be. */
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
    this.#onFinding(clean)
  }

  /** The worst that was found by checks whose id begins so. */
  worst(prefix: string): Status {
    const found = this.all.filter(({ id }) => id.startsWith(prefix)).map(({ status }) => status)
    return (['problem', 'warning', 'not checked'] as const).find((status) => found.includes(status)) ?? 'ok'
  }
}

/** A certificate's subject and a server's name of itself come from elsewhere, and go to a terminal. */
const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim()
