import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { open } from '../../adapters/software/index.ts'
import { KeyStore } from '../../adapters/software/store.ts'
import { operatorError } from './operator-error.ts'
import {
  octKey,
  PASSPHRASE,
  quickCost,
  secret,
  temporaryDirectory,
  temporaryStore,
  type TemporaryStore,
} from './fixtures.ts'

const ignore = () => undefined

describe('a software store’s directory', () => {
  let temporary: Awaited<ReturnType<typeof temporaryDirectory>>
  beforeEach(async () => {
    temporary = await temporaryDirectory()
  })
  afterEach(() => temporary.remove())

  const options = (directory: string) => ({ directory, passphrase: secret(PASSPHRASE) })

  it('is made with the first key, for its owner only, with the directories above it', async () => {
    const directory = join(temporary.directory, 'a', 'b')
    await KeyStore.openOrCreate(options(directory), quickCost)
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    expect(await readdir(directory)).toEqual(['store.json'])
  })

  it('that does not exist is an error when it is opened, and is not created', async () => {
    const error = await operatorError(open(options(temporary.directory), ignore))
    expect(error.code).toBe('STORE_MISSING')
    expect(error.message).toContain(temporary.directory)
    expect(await readdir(dirname(temporary.directory))).toEqual([])
  })

  it.each([0o770, 0o707, 0o702])('that others can write to is refused (mode %o)', async (mode) => {
    await KeyStore.openOrCreate(options(temporary.directory), quickCost)
    await chmod(temporary.directory, mode)
    for (const call of [
      () => KeyStore.open(options(temporary.directory)),
      () => KeyStore.openOrCreate(options(temporary.directory)),
    ]) {
      const error = await operatorError(call())
      expect(error.code).toBe('FILE_MODE')
      expect(error.message).toContain(temporary.directory)
    }
  })

  it('may be readable for others, since its files are not', async () => {
    await KeyStore.openOrCreate(options(temporary.directory), quickCost)
    await chmod(temporary.directory, 0o755)
    await expect(KeyStore.open(options(temporary.directory))).resolves.toBeDefined()
  })

  it.each([
    { what: 'a file', opened: 'STORE_MISSING', made: 'FILE_UNWRITABLE', place: (path: string) => writeFile(path, '') },
    {
      what: 'a link to itself',
      opened: 'FILE_UNREADABLE',
      made: 'FILE_UNWRITABLE',
      place: (path: string) => symlink(path, path),
    },
  ])('cannot be $what', async ({ opened, made, place }) => {
    await place(temporary.directory)
    const openError = await operatorError(KeyStore.open(options(temporary.directory)))
    expect(openError.code).toBe(opened)
    expect(openError.message).toContain(temporary.directory)
    const makeError = await operatorError(KeyStore.openOrCreate(options(temporary.directory), quickCost))
    expect(makeError.code).toBe(made)
    expect(makeError.message).toContain(temporary.directory)
  })

  it('cannot be below a file', async () => {
    await writeFile(temporary.directory, '')
    const directory = join(temporary.directory, 'keys')
    expect((await operatorError(KeyStore.open(options(directory)))).code).toBe('FILE_UNREADABLE')
    expect((await operatorError(KeyStore.openOrCreate(options(directory)))).code).toBe('FILE_UNWRITABLE')
  })

  it('is one store if two processes make it at the same time', async () => {
    const stores = await Promise.all(
      ['first', 'second'].map(async (name) => {
        const store = await KeyStore.openOrCreate(options(temporary.directory), quickCost)
        await store.add(octKey(name))
        return store
      }),
    )
    for (const store of stores) expect((await store.readAll()).map(({ name }) => name)).toEqual(['first', 'second'])
  })

  it('keeps its own cost and salt when it is opened again to add a key', async () => {
    await KeyStore.openOrCreate(options(temporary.directory), quickCost)
    const before = await readFile(join(temporary.directory, 'store.json'), 'utf8')
    await KeyStore.openOrCreate(options(temporary.directory))
    expect(await readFile(join(temporary.directory, 'store.json'), 'utf8')).toBe(before)
  })

  it('needs a passphrase', async () => {
    const error = await operatorError(KeyStore.openOrCreate({ ...temporary, passphrase: secret('') }, quickCost))
    expect(error.code).toBe('PASSPHRASE_EMPTY')
    expect(await readdir(temporary.directory)).toEqual([])
  })
})

describe('a software store’s header', () => {
  let temporary: TemporaryStore
  const path = () => join(temporary.directory, 'store.json')
  beforeEach(async () => {
    temporary = await temporaryStore()
  })
  afterEach(() => temporary.remove())

  it('holds the cost, a salt of 32 bytes and a sealed check', async () => {
    const header = JSON.parse(await readFile(path(), 'utf8')) as Record<string, unknown>
    expect(header).toEqual({
      format: 'ekm-gateway software key store',
      version: 1,
      scrypt: { ...quickCost, salt: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/) as string },
      check: expect.stringMatching(/^([A-Za-z0-9_-]*\.){4}[A-Za-z0-9_-]+$/) as string,
    })
  })

  const edit = async (change: (header: Record<string, unknown>, cost: Record<string, unknown>) => void) => {
    const header = JSON.parse(await readFile(path(), 'utf8')) as Record<string, unknown>
    change(header, header['scrypt'] as Record<string, unknown>)
    await writeFile(path(), JSON.stringify(header))
  }
  const other = randomBytes(32).toString('base64url')

  it.each([
    { what: 'it is empty', code: 'STORE_INVALID', damage: () => writeFile(path(), '') },
    { what: 'it is not JSON', code: 'STORE_INVALID', damage: () => writeFile(path(), '{') },
    { what: 'it is of another format', code: 'STORE_INVALID', damage: () => edit((h) => (h['format'] = 'x')) },
    { what: 'it is of a later version', code: 'STORE_INVALID', damage: () => edit((h) => (h['version'] = 2)) },
    { what: 'it has a member too many', code: 'STORE_INVALID', damage: () => edit((h) => (h['more'] = 1)) },
    { what: 'it has no check', code: 'STORE_INVALID', damage: () => edit((h) => delete h['check']) },
    { what: 'its salt is too short', code: 'STORE_INVALID', damage: () => edit((_, c) => (c['salt'] = 'AAAA')) },
    { what: 'its cost is too low', code: 'STORE_INVALID', damage: () => edit((_, c) => (c['N'] = 2 ** 13)) },
    { what: 'its cost is too high', code: 'STORE_INVALID', damage: () => edit((_, c) => (c['N'] = 2 ** 40)) },
    {
      what: 'its cost is none that scrypt knows',
      code: 'STORE_INVALID',
      damage: () => edit((_, c) => (c['N'] = 20000)),
    },
    {
      what: 'its cost is minutes',
      code: 'STORE_INVALID',
      damage: () => edit((_, c) => Object.assign(c, { N: 2 ** 20, r: 16, p: 16 })),
    },
    { what: 'its parallelism is zero', code: 'STORE_INVALID', damage: () => edit((_, c) => (c['p'] = 0)) },
    { what: 'its cost was changed', code: 'PASSPHRASE_WRONG', damage: () => edit((_, c) => (c['N'] = 2 ** 15)) },
    { what: 'its salt was changed', code: 'PASSPHRASE_WRONG', damage: () => edit((_, c) => (c['salt'] = other)) },
    { what: 'its check is malformed', code: 'PASSPHRASE_WRONG', damage: () => edit((h) => (h['check'] = 'x')) },
    { what: 'everybody can read it', code: 'FILE_MODE', damage: () => chmod(path(), 0o644) },
    { what: 'it is missing', code: 'FILE_UNREADABLE', damage: () => unlink(path()) },
    {
      what: 'it is a directory',
      code: 'FILE_KIND',
      damage: async () => {
        await unlink(path())
        await mkdir(path(), { mode: 0o700 })
      },
    },
    { what: 'it is too large', code: 'FILE_KIND', damage: () => writeFile(path(), ' '.repeat(70_000)) },
  ])('keeps the store shut, with an error that names the file, if $what', async ({ code, damage }) => {
    await damage()
    const error = await operatorError(open(temporary, ignore))
    expect(error.code).toBe(code)
    expect(error.message).toContain(path())
  })

  it('is not made again beside keys that it would lock out', async () => {
    await temporary.store.add(octKey('aes'))
    await unlink(path())
    const error = await operatorError(KeyStore.openOrCreate(temporary, quickCost))
    expect(error.code).toBe('STORE_INVALID')
    expect(error.message).toContain(path())
    expect(await readdir(temporary.directory)).toEqual(['aes.jwe'])
  })
})
