import { wipeableCopy } from './bytes.ts'

/**
 * A passphrase or PIN. Whatever prints it by accident (`util.inspect`, `JSON`, string conversion, a log) prints
 * `[secret]`.
 */
export class Secret {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** A copy of the secret's bytes. The caller zeroes it after use. */
  reveal(): Uint8Array<ArrayBuffer> {
    return wipeableCopy(this.#bytes)
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]'
  }
}
