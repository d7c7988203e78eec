import type { References } from '../settings/fields.ts'

/** A fact that only the operator knows. */
export interface Question {
  /** The option of the command line that answers it, without its dashes. No two questions have the same. */
  readonly option: string
  /** What is wanted: the prompt, and the option's help. */
  readonly asks: string
  /** The answer where none is given; empty where it may be left out. */
  readonly fallback?: string
  /** Where the answer stands in the backend's section, so that a second run proposes it again. */
  readonly setting?: readonly string[]
  /** Nobody is asked: it is the option, or the fallback. */
  readonly optionOnly?: true
}

/** Where a secret is. The secret itself is never asked for. */
export interface SecretQuestion {
  /** Its two options begin with this: `pin` is answered by `--pin-file PATH` and by `--pin-env NAME`. */
  readonly secret: string
  /** Which file is wanted: the prompt, and the help of the option for a file. */
  readonly asks: string
  /** The path where none is given. */
  readonly fallback: string
  /** The file is made if it is not there. */
  readonly isMade?: boolean
  /** Where the answer stands in the backend's section. */
  readonly setting?: readonly string[]
}

/** The place of a secret, as a configuration has it. */
export type SecretPlace = { readonly file: string } | { readonly env: string }

/** How a place is typed: a path, or a variable as OpenSSL's `-passin` takes it. */
export const ENV = 'env:'

export interface Choice {
  readonly value: string
  /** What is shown beside it. */
  readonly label: string
}

/** Tries an answer, and throws an OperatorError for one that cannot be right. It may ask what follows from the answer. */
export type Attempt<Answer = string, Found = void> = (answer: Answer) => Found | Promise<Found>

/** `init`, as a row sees it: a person at a terminal, or the options of a script. */
export interface Interview {
  /** Where the configuration's paths lead. */
  readonly references: References
  /** An answer that `attempt` did not refuse. Rejects with an OperatorError where nobody can be asked again. */
  ask(question: Question, attempt?: Attempt): Promise<string>
  /** The same of a path: `attempt` gets it absolute, and the answer is as it stands in the configuration. */
  askPath(question: Question, attempt?: Attempt): Promise<string>
  /** The same, and what `attempt` found there. */
  openPath<Found>(
    question: Question,
    attempt: Attempt<string, Found>,
  ): Promise<{ readonly path: string; readonly found: Found }>
  /**
   * The place of a secret, as it stands in the configuration. `attempt` gets a file's path absolute. Without one, there
   * must be a secret.
   */
  askSecret(question: SecretQuestion, attempt?: Attempt<SecretPlace>): Promise<SecretPlace>
  /** The value of one of the choices. */
  choose(question: Question, choices: readonly Choice[]): Promise<string>
  /** What was found, on a line of its own. */
  tell(found: string): void
  /** Makes a file of 24 random bytes, as text, that its owner alone can read. `path` is absolute. */
  makeSecret(path: string): Promise<void>
}

/** A backend's section of the configuration, as an operator would write it. */
export interface Section {
  /** Without `kind`. */
  readonly settings: Readonly<Record<string, unknown>>
  /** What stands behind a setting, by its name. */
  readonly comments: Readonly<Record<string, string>>
}
