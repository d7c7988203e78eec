import {
  AdapterError,
  algorithmRow,
  wrapAlgorithms,
  type CallContext,
  type KeyAdapter,
  type KeyDescription,
  type KeyInspection,
  type KeyRef,
  type Report,
  type WrapAlgorithm,
} from '../contract/index.ts'
import { KeyStore, type FileVersion } from './store.ts'
import { usableKey, type UsableKey } from './usable-key.ts'
import type { SoftwareOptions } from './options.ts'

/** Milliseconds between looks at the directory for keys that were added, removed, disabled or enabled. */
const REFRESH_MS = 1000

interface Loaded {
  readonly version: FileVersion
  readonly key: UsableKey
}

/** Serves the keys of a {@link KeyStore} from memory. For development and trials: the keys are in this process. */
export class SoftwareAdapter implements KeyAdapter {
  readonly product = { vendor: 'ekm-gateway', name: 'software key store' }
  readonly inspection: KeyInspection = {
    facts: async (context) => {
      this.#assertOpen(context)
      return { fields: { directory: this.#store.directory, keys: this.#keys.size } }
    },
    ways: async (ref, context) => {
      const { kty } = this.#usable(ref, context).description
      return wrapAlgorithms
        .filter((algorithm) => algorithmRow(algorithm).kty === kty)
        .map((algorithm) => ({ algorithm, way: "OpenSSL in the gateway's process", rejected: [] }))
    },
  }
  readonly #store: KeyStore
  readonly #report: Report
  readonly #keys = new Map<string, Loaded>()
  /** Versions that could not be read. Each is reported once. */
  readonly #refused = new Map<string, FileVersion>()
  #timer: NodeJS.Timeout | undefined
  #refreshing: Promise<void> | undefined
  #directoryLost = false
  #closed = false

  private constructor(store: KeyStore, report: Report) {
    this.#store = store
    this.#report = report
  }

  /** Opens the store and reads every key. A key that cannot be read prevents the start. */
  static async open(options: SoftwareOptions, report: Report): Promise<SoftwareAdapter> {
    const adapter = new SoftwareAdapter(await KeyStore.open(options), report)
    for (const [name, version] of await adapter.#store.versions()) await adapter.#load(name, version)
    adapter.#scheduleRefresh()
    return adapter
  }

  async describe(ref: KeyRef, context: CallContext): Promise<KeyDescription> {
    return this.#usable(ref, context).description
  }

  async wrap(ref: KeyRef, algorithm: WrapAlgorithm, plaintext: Uint8Array, context: CallContext): Promise<Uint8Array> {
    return this.#usable(ref, context).wrap(algorithm, plaintext)
  }

  async unwrap(
    ref: KeyRef,
    algorithm: WrapAlgorithm,
    ciphertext: Uint8Array,
    context: CallContext,
  ): Promise<Uint8Array> {
    return this.#usable(ref, context).unwrap(algorithm, ciphertext)
  }

  async probe(context: CallContext): Promise<void> {
    this.#assertOpen(context)
    // One look at the directory is enough: a look at each file would wait for the threads that RSA operations occupy.
    await this.#store.assertReadable().catch(() => {
      throw new AdapterError('BACKEND_UNAVAILABLE', `${this.#store.directory} cannot be read`)
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    // A refresh that is under way would put keys back.
    await this.#refreshing
    this.#keys.clear()
  }

  #assertOpen(context: CallContext): void {
    if (this.#closed) throw new AdapterError('CLOSED', 'the key store is closed')
    context.signal.throwIfAborted()
  }

  #usable(ref: KeyRef, context: CallContext): UsableKey {
    this.#assertOpen(context)
    const loaded = this.#keys.get(ref)
    if (loaded === undefined) throw new AdapterError('KEY_NOT_FOUND', `the store has no key ${ref}`)
    loaded.key.assertUsable(Date.now())
    return loaded.key
  }

  async #load(name: string, version: FileVersion): Promise<void> {
    this.#keys.set(name, { version, key: await usableKey(await this.#store.read(name)) })
  }

  #scheduleRefresh(): void {
    this.#timer = setTimeout(() => {
      this.#refreshing = this.#refresh().finally(() => {
        if (!this.#closed) this.#scheduleRefresh()
      })
    }, REFRESH_MS)
    this.#timer.unref()
  }

  /**
   * Updates the keys from the directory. A file that cannot be read is reported, and its last good version stays in
   * use.
   */
  async #refresh(): Promise<void> {
    let versions
    try {
      versions = await this.#store.versions()
    } catch {
      if (!this.#directoryLost) this.#report('error', 'key_store_unreadable', { directory: this.#store.directory })
      this.#directoryLost = true
      return
    }
    this.#directoryLost = false
    if (this.#closed) return
    for (const name of this.#keys.keys()) {
      if (versions.has(name)) continue
      this.#keys.delete(name)
      this.#report('warn', 'key_removed', { key: name })
    }
    for (const [name, version] of versions) {
      if (this.#closed) return
      if (this.#keys.get(name)?.version === version || this.#refused.get(name) === version) continue
      try {
        await this.#load(name, version)
        this.#refused.delete(name)
        this.#report('info', 'key_loaded', { key: name })
      } catch (error) {
        this.#refused.set(name, version)
        const reason = error instanceof Error ? error.message : 'unknown'
        this.#report('error', 'key_file_refused', { key: name, reason, still_serving: this.#keys.has(name) })
      }
    }
  }
}
