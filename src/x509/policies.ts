import { groupedBy } from './remembered.ts'
import type { Certificate } from './certificate.ts'
import type { PolicyMapping } from './extensions.ts'

const ANY_POLICY = '2.5.29.32.0'

/**
 * The policies of a path, as RFC 5280 section 6.1 processes them if no particular policy is requested: a policy must be
 * left only if a CA requires one. So the last level of the tree is enough. With RFC 9618 it grows with the number of
 * policies, not with the number of their combinations.
 */
export class PolicyState {
  /** Maps each policy that is valid so far to the names that the next certificate may use for it. */
  #valid = new Map<string, ReadonlySet<string>>([[ANY_POLICY, new Set([ANY_POLICY])]])
  #explicitPolicy: number
  #policyMapping: number
  #inhibitAny: number

  /**
   * @param length of the path without the trust anchor
   * @param anchor its policies are the start of the path (RFC 5937 section 3.2)
   */
  constructor(length: number, anchor: Certificate) {
    this.#explicitPolicy = this.#policyMapping = this.#inhibitAny = length + 1
    if (anchor.policies) this.enter(anchor, false)
    this.#limit(anchor)
  }

  /** Processes the next certificate of the path. False if a policy is required and none is left. */
  enter({ policies, isSelfIssued }: Certificate, isLast: boolean): boolean {
    const before = this.#valid
    const expected = new Set([...before.values()].flatMap((names) => [...names]))
    const valid = new Map<string, ReadonlySet<string>>()
    for (const policy of policies ?? []) {
      if (policy === ANY_POLICY) continue
      if (expected.has(policy) || before.has(ANY_POLICY)) valid.set(policy, new Set([policy]))
    }
    const anyCounts = this.#inhibitAny > 0 || (!isLast && isSelfIssued)
    if (policies?.includes(ANY_POLICY) && anyCounts) {
      for (const name of expected) if (!valid.has(name)) valid.set(name, new Set([name]))
    }
    this.#valid = valid
    return this.#explicitPolicy > 0 || valid.size > 0
  }

  /** Prepares for the next certificate (section 6.1.4). False if a mapping is not allowed. */
  leave(certificate: Certificate): boolean {
    const { policyMappings, isSelfIssued } = certificate
    const names = policyMappings.flatMap(({ issuerDomain, subjectDomain }) => [issuerDomain, subjectDomain])
    if (names.includes(ANY_POLICY)) return false
    for (const [issuerDomain, mappings] of groupedBy(policyMappings, (mapping) => mapping.issuerDomain)) {
      this.#map(issuerDomain, mappings)
    }
    if (!isSelfIssued) {
      this.#explicitPolicy = Math.max(0, this.#explicitPolicy - 1)
      this.#policyMapping = Math.max(0, this.#policyMapping - 1)
      this.#inhibitAny = Math.max(0, this.#inhibitAny - 1)
    }
    this.#limit(certificate)
    return true
  }

  /** Whether the path's policies are allowed, after its last certificate (section 6.1.5). */
  finish({ requireExplicitPolicy }: Certificate): boolean {
    const explicitPolicy = requireExplicitPolicy === 0 ? 0 : Math.max(0, this.#explicitPolicy - 1)
    return explicitPolicy > 0 || this.#valid.size > 0
  }

  #limit({ requireExplicitPolicy, inhibitPolicyMapping, inhibitAnyPolicy }: Certificate): void {
    this.#explicitPolicy = Math.min(this.#explicitPolicy, requireExplicitPolicy ?? Infinity)
    this.#policyMapping = Math.min(this.#policyMapping, inhibitPolicyMapping ?? Infinity)
    this.#inhibitAny = Math.min(this.#inhibitAny, inhibitAnyPolicy ?? Infinity)
  }

  #map(issuerDomain: string, mappings: readonly PolicyMapping[]): void {
    if (this.#policyMapping === 0) {
      this.#valid.delete(issuerDomain)
      return
    }
    if (!this.#valid.has(issuerDomain) && !this.#valid.has(ANY_POLICY)) return
    this.#valid.set(issuerDomain, new Set(mappings.map(({ subjectDomain }) => subjectDomain)))
  }
}
