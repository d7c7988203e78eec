import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rsaKey } from '../contract/rsa-keys.ts'
import { CompiledAdapters, type Child } from './child.ts'
import { octKey, PASSPHRASE, temporaryStore } from './fixtures.ts'

/** Code for a child: the options of the store whose directory is the first argument. */
const prepare = `
const { Secret } = await load('contract/index')
const passphrase = new Secret(new TextEncoder().encode(${JSON.stringify(PASSPHRASE)}))
const options = { directory: process.argv[1], passphrase }
`

// These tests run side by side because they mostly wait for their children.
describe.concurrent('the software store in a process of its own', () => {
  let compiled: CompiledAdapters
  const children: Child[] = []
  beforeAll(() => {
    compiled = new CompiledAdapters()
  })
  afterAll(() => {
    for (const child of children) child.kill()
    compiled.remove()
  })

  const run = (directory: string, code: string, nodeOptions: readonly string[] = []) => {
    const child = compiled.run(prepare + code, { nodeOptions, args: [directory] })
    children.push(child)
    return child
  }

  it.each([
    { how: 'closed', close: 'await adapter.close()' },
    { how: 'left open: its timer holds nobody back', close: '' },
  ])('lets the process end when it is $how', async ({ close }) => {
    const { store, directory, remove } = await temporaryStore()
    await store.add(octKey('aes'))
    const child = run(
      directory,
      `
      const { open } = await load('software/index')
      const adapter = await open(options, () => undefined)
      await new Promise((resolve) => setTimeout(resolve, 1200))
      ${close}
      `,
    )
    expect(await child.exited, child.errors).toEqual({ code: 0, signal: null })
    await remove()
  })

  it('explains the fault if OpenSSL may do only what FIPS 140 allows', async () => {
    const { directory, remove } = await temporaryStore()
    const child = run(
      directory,
      `
      const { setFips } = await import('node:crypto')
      const { KeyStore } = await load('software/store')
      // No FIPS provider is needed: without one OpenSSL has nothing that it may do.
      setFips(true)
      const error = await KeyStore.open(options).catch((error) => error)
      console.log(error.name, error.code, error.message)
      `,
    )
    await child.saying('OperatorError SCRYPT_UNAVAILABLE the OpenSSL of this Node.js has no scrypt')
    expect(await child.exited, child.errors).toEqual({ code: 0, signal: null })
    await remove()
  })

  it('leaves the old file or the new one if it is killed at any moment of a change', async () => {
    const { store, directory, remove } = await temporaryStore()
    await store.add(octKey('aes'))
    const names = new Set(['aes'])
    for (let round = 0; round < 12; round += 1) {
      const child = run(
        directory,
        `
        const { KeyStore } = await load('software/store')
        const { randomBytes } = await import('node:crypto')
        const store = await KeyStore.open(options)
        const key = await store.read('aes')
        for (let turn = 0; ; turn += 1) {
          await store.replace({ ...key, enabled: turn % 2 === 0 })
          const jwk = { kty: 'oct', k: randomBytes(32).toString('base64url') }
          await store.add({ ...key, name: 'round-${round}-' + turn, jwk })
          if (turn === 0) console.log('ready')
        }
        `,
      )
      await child.saying('ready')
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 25))
      child.kill()
      expect((await child.exited).signal).toBe('SIGKILL')

      const found = (await store.readAll()).map(({ name }) => name)
      expect(found).toEqual(expect.arrayContaining([...names]))
      for (const name of found) names.add(name)
    }
    expect(names.size).toBeGreaterThan(12)
    const isKnown = (file: string) =>
      file === 'store.json' || file.endsWith('.jwe') || /^\.[0-9a-f]{16}\.tmp$/.test(file)
    expect((await readdir(directory)).filter((file) => !isKnown(file))).toEqual([])
    await remove()
  })

  it('keeps no readable text of a key in memory while it serves', async () => {
    const { store, directory, remove } = await temporaryStore()
    const oct = octKey('aes')
    const rsa = await rsaKey(2048)
    await store.add(oct)
    await store.add({ ...octKey('rsa'), jwk: rsa })
    const snapshot = join(directory, 'heap.snapshot')
    const child = run(
      directory,
      `
      const { open } = await load('software/index')
      const { writeHeapSnapshot } = await import('node:v8')
      const adapter = await open(options, () => undefined)
      const context = { signal: new AbortController().signal, deadline: Infinity, correlationId: 'marker-in-the-heap' }
      for (const [key, algorithm] of [['aes', 'A256KW'], ['rsa', 'RSA-OAEP-256']]) {
        const wrapped = await adapter.wrap(key, algorithm, new Uint8Array(32), context)
        await adapter.unwrap(key, algorithm, wrapped, context)
      }
      for (let turn = 0; turn < 5; turn += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        gc()
      }
      writeHeapSnapshot(${JSON.stringify(snapshot)})
      await adapter.describe('aes', context)
      `,
      ['--expose-gc'],
    )
    expect(await child.exited, child.errors).toEqual({ code: 0, signal: null })
    const heap = await readFile(snapshot, 'utf8')
    // The search must find a text that is present.
    expect(heap.includes('marker-in-the-heap')).toBe(true)
    const secrets = { k: oct.jwk.k, d: rsa.d, p: rsa.p, q: rsa.q, dp: rsa.dp, dq: rsa.dq, qi: rsa.qi }
    for (const [member, text] of Object.entries(secrets)) expect(heap.includes(text), member).toBe(false)
    await remove()
  })
})
