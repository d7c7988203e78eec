import type { TLSSocket } from 'node:tls'
import type { Certificate } from '../x509/certificate.ts'
import { identify, Identity, type ClientEntry, type ClientTrust } from './client.ts'
import type { Arrival } from './stranger.ts'
import { Succession, type ClientVerdicts } from './succession.ts'
import { spelled } from './trust.ts'
import type { Verdict } from './verdict.ts'

/**
 * Judges the clients of connections by the present trust. While a reload is prepared, it judges them by the next trust
 * too, so that the reload finds every verdict.
 */
export class ClientJudge {
  #trust: ClientTrust
  #next: Succession | undefined
  readonly #onLearned: (issuer: Certificate, root: string) => void

  /** @param onLearned called with an issuing CA that a client taught, and the fingerprint of the root that it leads to */
  constructor(trust: ClientTrust, onLearned: (issuer: Certificate, root: string) => void) {
    this.#trust = trust
    this.#onLearned = onLearned
    this.#follow()
  }

  /** Like {@link identify}. The identity is by the trust that is present when it is returned. */
  identify(socket: TLSSocket, arrival: Arrival, onCost: (ms: number) => void): Identity | Promise<Identity> {
    const trust = this.#trust
    const identity = identify(socket, arrival, trust, onCost)
    if (identity instanceof Identity && this.#next === undefined) return identity
    return this.#settle(identity, trust)
  }

  async #settle(identity: Identity | Promise<Identity>, trust: ClientTrust): Promise<Identity> {
    const judged = await identity
    await this.#next?.judge(judged.verdict)
    if (this.#trust === trust) return judged
    this.#trust.learnFrom(trust)
    return this.#judgeAgain(judged)
  }

  /** The trust has changed while a certificate was judged. */
  async #judgeAgain(identity: Identity): Promise<Identity> {
    const leaf = identity.verdict?.leaf
    const trust = this.#trust
    if (leaf !== undefined) identity.restate(await trust.judge(leaf, [], Date.now()))
    return this.#trust === trust ? identity : this.#judgeAgain(identity)
  }

  /**
   * Judges a client again whose `verdict` may be outdated.
   * @returns the verdict that it now has; undefined if a reload or another request has changed it meanwhile
   */
  async refresh(identity: Identity, verdict: Verdict<ClientEntry>): Promise<Verdict<ClientEntry> | undefined> {
    const renewed = await this.#trust.renew(verdict, Date.now())
    if (identity.verdict !== verdict) return undefined
    identity.restate(renewed)
    return renewed
  }

  /** Judges connected clients by the next trust. From now on, new clients are judged by both. */
  async prepare(trust: ClientTrust, identities: Iterable<Identity>): Promise<ClientVerdicts> {
    const next = new Succession(trust, this.#trust)
    this.#next = next
    for (const identity of identities) await next.judge(identity.verdict)
    return next.verdicts
  }

  /** Drops the next trust. */
  abandon(): void {
    this.#next = undefined
  }

  /** `trust` is the present one from now on. */
  follow(trust: ClientTrust): void {
    this.#trust.onLearned = undefined
    this.#trust = trust
    this.#follow()
  }

  /** Gives a client the verdict of the present trust. */
  restate(identity: Identity, verdicts: ClientVerdicts): void {
    const leaf = identity.verdict?.leaf
    identity.restate(
      leaf && (verdicts.get(leaf.fingerprint) ?? this.#trust.recall(spelled(leaf), undefined, Date.now())),
    )
  }

  /** Takes over an issuing CA, and the fingerprint of the root that it leads to. */
  learn(issuer: Certificate, root: string): void {
    this.#trust.learn(issuer, root)
  }

  #follow(): void {
    this.#trust.onLearned = (issuer, root) => {
      this.#next?.trust.learn(issuer, root)
      this.#onLearned(issuer, root)
    }
  }
}
