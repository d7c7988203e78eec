import type { ClientEntry, ClientTrust } from './client.ts'
import type { Verdict } from './verdict.ts'

/** By the fingerprint of a client's certificate. */
export type ClientVerdicts = ReadonlyMap<string, Verdict<ClientEntry>>

/** The trust that will be the next one, and its verdicts so far on the connected clients. */
export class Succession {
  readonly trust: ClientTrust
  readonly #verdicts = new Map<string, Verdict<ClientEntry>>()

  /** @param today the present trust; clients may have taught it something since the next one was made */
  constructor(trust: ClientTrust, today: ClientTrust) {
    this.trust = trust
    trust.learnFrom(today)
  }

  get verdicts(): ClientVerdicts {
    return this.#verdicts
  }

  /** @param verdict the present one; undefined for a client without a certificate */
  async judge(verdict: Verdict<ClientEntry> | undefined): Promise<void> {
    if (verdict === undefined || this.#verdicts.has(verdict.leaf.fingerprint)) return
    const { leaf, issuers } = verdict
    this.#verdicts.set(leaf.fingerprint, await this.trust.judge(leaf, issuers, Date.now()))
  }
}
