// Hides pkcs11js from the processes that load this file, as if it had never been installed.
import { register } from 'node:module'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) register(import.meta.url)

export async function resolve(specifier, context, nextResolve) {
  if (specifier !== 'pkcs11js') return nextResolve(specifier, context)
  throw Object.assign(new Error(`Cannot find package '${specifier}'`), { code: 'ERR_MODULE_NOT_FOUND' })
}
