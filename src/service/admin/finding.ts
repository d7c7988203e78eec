/** Something that somebody has to look at. */
export interface Finding {
  /** `critical` costs Azure requests now; `warning` will, or may. */
  readonly level: 'critical' | 'warning'
  /** The pool, the backend or what else it is about. */
  readonly subject: string
  readonly found: string
  /** Whose turn it is. */
  readonly turn: string
  readonly advice: string
  /** To be typed as it stands, but for words in capitals. */
  readonly command?: string
  /** An entry of docs/runbooks.md. */
  readonly runbook: string
}
