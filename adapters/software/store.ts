import { constants } from 'node:fs'
import { access, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { isKeyName, KEY_NAME_RULE, OperatorError, systemCode } from '../contract/index.ts'
import { readPrivateFile, unreadable, unwritable, writePrivateFile } from './files.ts'
import { makeDirectory } from './make-directory.ts'
import type { SoftwareOptions } from './options.ts'
import { defaultCost, isSaneCost, newSalt, stretch, type ScryptCost, type StoreKey } from './passphrase.ts'
import { seal, unseal } from './sealed.ts'
import {
  assertKeyName,
  decodeKeyFile,
  encodeKeyFile,
  keyFileName,
  keyNameOf,
  parseJson,
  type StoredKey,
} from './stored-key.ts'

const HEADER_FILE = 'store.json'
const FORMAT = 'ekm-gateway software key store'
const CHECK = { kid: HEADER_FILE, cty: 'text/plain' } as const

const headerSchema = v.strictObject({
  format: v.literal(FORMAT),
  version: v.literal(1),
  scrypt: v.strictObject({
    N: v.pipe(v.number(), v.integer()),
    r: v.pipe(v.number(), v.integer()),
    p: v.pipe(v.number(), v.integer()),
    salt: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/)),
  }),
  /** Sealed with the store's key. It distinguishes a wrong passphrase from a damaged key file. */
  check: v.string(),
})

/** A text that changes when the file has to be read again. */
export type FileVersion = string

/**
 * The directory of one store: `store.json` with the scrypt parameters, and one `NAME.jwe` for each key. The methods
 * read and write whole files. Only the key that was derived from the passphrase stays in memory.
 */
export class KeyStore {
  readonly directory: string
  readonly #storeKey: StoreKey

  private constructor(directory: string, storeKey: StoreKey) {
    this.directory = directory
    this.#storeKey = storeKey
  }

  /** Opens a store. Rejects with an {@link OperatorError} that names the file at fault. */
  static async open({ directory, passphrase }: SoftwareOptions): Promise<KeyStore> {
    await assertPrivateDirectory(directory)
    const path = join(directory, HEADER_FILE)
    const header = v.safeParse(headerSchema, parseJson(await readPrivateFile(path)))
    if (!header.success || !isSaneCost(header.output.scrypt)) {
      throw new OperatorError('STORE_INVALID', `${path} is damaged, or is not the header of a key store`)
    }
    const { salt, ...cost } = header.output.scrypt
    const storeKey = await stretch(passphrase, Buffer.from(salt, 'base64url'), cost)
    if ((await unseal(header.output.check, CHECK, storeKey)) === undefined) {
      throw new OperatorError('PASSPHRASE_WRONG', `the passphrase does not decrypt ${path}`)
    }
    return new KeyStore(directory, storeKey)
  }

  /** Opens a store, or creates an empty one if there is none. */
  static async openOrCreate(options: SoftwareOptions, cost: ScryptCost = defaultCost): Promise<KeyStore> {
    await makeDirectory(resolve(options.directory), 0o700).catch((error: unknown) => {
      throw unwritable(options.directory, error)
    })
    await assertPrivateDirectory(options.directory)
    const path = join(options.directory, HEADER_FILE)
    const files = await listDirectory(options.directory)
    if (!files.includes(HEADER_FILE)) {
      const orphan = files.find((file) => keyNameOf(file) !== undefined)
      if (orphan !== undefined) {
        throw new OperatorError(
          'STORE_INVALID',
          `${path} is missing, but ${orphan} is there: restore ${HEADER_FILE} from a backup`,
        )
      }
      const salt = newSalt()
      const storeKey = await stretch(options.passphrase, salt, cost)
      const header: v.InferInput<typeof headerSchema> = {
        format: FORMAT,
        version: 1,
        scrypt: { N: cost.N, r: cost.r, p: cost.p, salt: Buffer.from(salt).toString('base64url') },
        check: await seal(new TextEncoder().encode(FORMAT), CHECK, storeKey),
      }
      try {
        await writePrivateFile(path, JSON.stringify(header, undefined, 2) + '\n', 'create')
        return new KeyStore(options.directory, storeKey)
      } catch (error) {
        // Another process has just created the store. That one is used.
        if (systemCode(error) !== 'EEXIST') throw error
      }
    }
    return KeyStore.open(options)
  }

  /** Every key file's name and version. Cheap enough to call each second. */
  async versions(): Promise<Map<string, FileVersion>> {
    const versions = new Map<string, FileVersion>()
    for (const file of await listDirectory(this.directory)) {
      const name = keyNameOf(file)
      if (name === undefined) continue
      const version = await fileVersion(join(this.directory, file))
      if (version !== undefined) versions.set(name, version)
    }
    return versions
  }

  async assertReadable(): Promise<void> {
    await listDirectory(this.directory)
  }

  async read(name: string): Promise<StoredKey> {
    const path = join(this.directory, keyFileName(name))
    if (!isKeyName(name)) {
      throw new OperatorError('KEY_FILE_INVALID', `${path} is not named after a key: a name has ${KEY_NAME_RULE}`)
    }
    return decodeKeyFile(await readPrivateFile(path), name, path, this.#storeKey)
  }

  async readAll(): Promise<StoredKey[]> {
    const names = [...(await this.versions()).keys()].sort()
    return Promise.all(names.map((name) => this.read(name)))
  }

  /** Adds a key. It never replaces a key of that name. */
  async add(key: StoredKey): Promise<void> {
    const text = await encodeKeyFile(key, this.#storeKey)
    await writePrivateFile(this.#path(key.name), text, 'create').catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error
      throw new OperatorError('KEY_EXISTS', `the key ${key.name} already exists; a key is never replaced`)
    })
  }

  async replace(key: StoredKey): Promise<void> {
    await writePrivateFile(this.#path(key.name), await encodeKeyFile(key, this.#storeKey), 'replace')
  }

  #path(name: string): string {
    assertKeyName(name)
    return join(this.directory, keyFileName(name))
  }
}

async function assertPrivateDirectory(directory: string): Promise<void> {
  const stats = await stat(directory).catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw unreadable(directory, error)
    return undefined
  })
  if (!stats?.isDirectory()) {
    throw new OperatorError(
      'STORE_MISSING',
      `there is no key store at ${directory}: create the first key with ekm-gateway keys create NAME --type oct`,
    )
  }
  if ((stats.mode & 0o022) !== 0 && !(await isReadOnly(directory))) {
    throw new OperatorError('FILE_MODE', `other users can write to ${directory}: run chmod 700 ${directory}`)
  }
}

/**
 * True on a file system that nobody can write to. Kubernetes mounts a Secret like that, with a directory of mode 3777.
 */
const isReadOnly = (directory: string): Promise<boolean> =>
  access(directory, constants.W_OK).then(
    () => false,
    (error: unknown) => systemCode(error) === 'EROFS',
  )

const listDirectory = (directory: string): Promise<string[]> =>
  readdir(directory).catch((error: unknown) => {
    throw unreadable(directory, error)
  })

/** Undefined for a file that has gone. A file that cannot be inspected has a version, too: reading it reports why. */
async function fileVersion(path: string): Promise<FileVersion | undefined> {
  try {
    const { ino, size, mode, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [ino, size, mode, mtimeNs, ctimeNs].join()
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? undefined : `cannot be inspected: ${systemCode(error)}`
  }
}
