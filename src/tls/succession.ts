import type { ClientEntry, ClientTrust } from './client.ts'
import type { Verdict } from './verdict.ts'

/** By the fingerprint of a client's certificate. */
export type ClientVerdicts = ReadonlyMap<string, Verdict<ClientEntry>>

/** A trust that is about to be the next one, and what it found so far of the clients that there are. */
export class Succession {
  readonly trust: ClientTrust
  readonly #verdicts = new Map<string, Verdict<ClientEntry>>()

  /** @param today the trust of today: since the next one was made, clients may have taught it something */
  constructor(trust: ClientTrust, today: ClientTrust) {
    this.trust = trust
    trust.learnFrom(today)
  }

  get verdicts(): ClientVerdicts {
    return this.#verdicts
  }

  /** @param verdict of today; absent for a client without a certificate */
  async judge(verdict: Verdict<ClientEntry> | undefined): Promise<void> {
    if (verdict === undefined || this.#verdicts.has(verdict.leaf.fingerprint)) return
    const { leaf, issuers } = verdict
    this.#verdicts.set(leaf.fingerprint, await this.trust.judge(leaf, issuers, Date.now()))
  }
}
