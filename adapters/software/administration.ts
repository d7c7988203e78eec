import {
  assertValidity,
  OperatorError,
  type KeyAdministration,
  type KeySpec,
  type KeyValidity,
} from '../contract/index.ts'
import { generate, parseMaterial } from './key-material.ts'
import type { SoftwareOptions } from './options.ts'
import { KeyStore } from './store.ts'
import { assertKeyName, type PrivateJwk } from './stored-key.ts'
import { summaryOf } from './usable-key.ts'

/** The `keys` commands on a software store. A running gateway sees every change within seconds. */
export class SoftwareAdministration implements KeyAdministration {
  readonly #options: SoftwareOptions

  constructor(options: SoftwareOptions) {
    this.#options = options
  }

  async create(name: string, spec: KeySpec, validity: KeyValidity) {
    assertKeyName(name)
    return this.#add(name, await generate(spec), validity)
  }

  async import(name: string, material: Uint8Array, validity: KeyValidity) {
    try {
      assertKeyName(name)
      return await this.#add(name, await parseMaterial(material), validity)
    } finally {
      material.fill(0)
    }
  }

  async list() {
    const store = await KeyStore.open(this.#options)
    return (await store.readAll()).map(summaryOf)
  }

  async setEnabled(name: string, enabled: boolean) {
    assertKeyName(name)
    const store = await KeyStore.open(this.#options)
    if (!(await store.versions()).has(name)) {
      throw new OperatorError('KEY_NOT_FOUND', `the store ${store.directory} has no key ${name}`)
    }
    const key = { ...(await store.read(name)), enabled }
    await store.replace(key)
    return summaryOf(key)
  }

  async #add(name: string, jwk: PrivateJwk, validity: KeyValidity) {
    assertValidity(validity)
    const store = await KeyStore.openOrCreate(this.#options)
    const key = { name, jwk, enabled: true, created: new Date(), ...validity }
    await store.add(key)
    return summaryOf(key)
  }
}
