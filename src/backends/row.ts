import type { X509Certificate } from 'node:crypto'
import * as v from 'valibot'
import type { AdapterModule, KeyRef } from '../../adapters/contract/index.ts'
import type { Holds } from '../settings/file-modes.ts'
import { about, integer, type References } from '../settings/fields.ts'
import type { Interview, Question, SecretQuestion, Section } from './interview.ts'

/** The settings that every kind has: how many calls a backend gets. */
export const capacity = () => ({
  concurrency: v.optional(about('The most calls that the backend gets at a time.', integer(1, 4096)), 64),
  queue: v.optional(
    about('The most calls of one pool that may queue. The next one is answered with 429.', integer(0, 65_536)),
    256,
  ),
})

interface AnySettings {
  readonly kind: string
}

/**
 * All that the gateway and its commands know of one kind of backend. Every member is required, so a kind that leaves
 * one out does not compile, and nothing that is right for one kind is applied to another.
 */
export interface BackendRow<Settings extends AnySettings> {
  /** The schema of the settings. `kind` is a literal, and {@link capacity} is included. */
  readonly schema: (references: References) => v.GenericSchema<unknown, Settings>
  /** Loads the adapter when a backend of this kind is first used. */
  readonly load: () => Promise<AdapterModule<Settings>>
  /** The settings for one of several workers. `part` returns a worker's share of a total, at least 1. */
  share(settings: Settings, part: (total: number) => number): Settings
  /** How many descriptors one process has open for it at most. */
  descriptors(settings: Settings): number
  /** The settings that a login is made with. A backend that has refused them refuses the same again. */
  login(settings: Settings): unknown
  /** Certificates whose expiry stops the backend. */
  certificates(settings: Settings): readonly BackendCertificate[]
  /** Files that the settings name. */
  readonly files: readonly NamedSetting[]
  /** Whether a key's reference is a name, which several keys of a backend might have. */
  isName(ref: KeyRef): boolean
  readonly incidents: Incidents
  readonly check: CheckRow<Settings>
  readonly init: InitRow<Settings>
}

/** One row for each kind of `Config`, under the kind's own name. */
export type Rows<Config extends AnySettings> = {
  readonly [Kind in Config['kind']]: BackendRow<Extract<Config, { readonly kind: Kind }>>
}

export interface BackendCertificate {
  /** `client`: the gateway's own certificate and its issuers. `ca`: what the server's certificate must chain to. */
  readonly role: 'client' | 'ca'
  /** Its path within the backend's settings. */
  readonly setting: SettingPath
  readonly certificate: X509Certificate
}

type SettingPath = readonly [string, ...string[]]

/** A setting with the path of a file. */
export interface NamedSetting {
  /** Its path within the backend's settings. */
  readonly setting: SettingPath
  readonly holds: Holds
  /** Finds the file's absolute path in a setting that contains more. Undefined if the setting names no file. */
  readonly find?: (text: string) => string | undefined
}

/** How the adapter reports what an operator wants counted; `undefined` for what this kind of backend does not have. */
export interface Incidents {
  /** A process that uses the HSM ended or was given up. */
  readonly hostLost: Reported | undefined
  /** Another token than before has the configured name. */
  readonly tokenChanged: Reported | undefined
  readonly loginRefused: RefusedLogin | undefined
}

export interface Reported {
  readonly event: string
  /** The event's `code`, for an event that tells of other things too. */
  readonly code?: string
}

/** The backend refuses the gateway's own credentials. */
export interface RefusedLogin extends Reported {
  /** The OperatorError's code with which it does not open. It is not tried again by itself: that could lock the account. */
  readonly error: string
}

/** What `check` asks of a backend, and what it advises. */
export interface CheckRow<Settings extends AnySettings> {
  /** How the gateway got in, for a backend that answers: `logged in`. */
  readonly opened: string
  /** Advice for a backend that does not open, by the OperatorError's code. */
  readonly openAdvice: Readonly<Record<string, string>>
  /** How keys could leave the backend with these settings. Undefined if they cannot. */
  custody(settings: Settings): Remark | undefined
  /**
   * A command that examines the backend without the gateway. Undefined if there is none.
   *
   * @param fileOf returns the path in a setting
   * @param code of the OperatorError with which the backend did not open
   */
  command(
    settings: Settings,
    fileOf: (...setting: string[]) => string | undefined,
    code: string | undefined,
  ): string | undefined
  /** How to count sessions. Undefined for a backend without sessions. */
  sessions(settings: Settings): SessionCheck | undefined
  /** How the adapter reports a key that can leave the backend. Undefined if it never does. */
  readonly exposedKey: (Remark & { readonly event: string }) | undefined
  /** Advice if the backend was too slow or failed while its ways were tried. */
  readonly undecidedAdvice: string
  /** What enables a disabled key. */
  readonly enabledBy: 'keys enable' | 'its own tools'
}

/** What `init` asks of a kind, and how it finds out whether the answers are right. */
export interface InitRow<Settings extends AnySettings> {
  /** What the kind is, in a list of kinds. */
  readonly title: string
  /** What the backend is called in the configuration. */
  readonly name: string
  /** All that {@link InitRow.section} may ask, so that each has its option. */
  readonly questions: Readonly<Record<string, Question | SecretQuestion>>
  /** Asks, and tries each answer as far as it goes by itself. Rejects with an OperatorError that ends the session. */
  section(interview: Interview): Promise<Section>
  /** The code of the OperatorError of a backend that its first key makes; `undefined` where there is no such. */
  readonly emptyCode: string | undefined
  /** Why it cannot be used. `code` is the OperatorError's; `undefined` where it opened and does not answer. */
  refusal(settings: Settings, code: string | undefined): Promise<Refusal>
}

export interface Refusal {
  /** In addition to the error's own words; empty where they say all. */
  readonly found: string
  /** Another try could do harm: the session ends. */
  readonly isFinal: boolean
}

/** A warning of `check`, and its advice. */
export interface Remark {
  readonly found: string
  readonly advice: string
}

export interface SessionCheck {
  /** The configured number. Undefined if the adapter chooses. */
  readonly wanted: number | undefined
  /** What limits the number: `the token`. */
  readonly holder: string
  readonly advice: string
}
