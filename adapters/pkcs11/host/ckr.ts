/**
 * The `CK_RV` that a call of the module answered with; `undefined` for any other error, such as pkcs11js's complaints
 * about an argument or a result.
 *
 * pkcs11js puts the number behind the name into the message and gives it as `code` for some functions only, so this is
 * the one place where a message is read, and only for the number.
 */
export function ckrOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  const number = /^CKR_[A-Z0-9_]+:([0-9]+)$/.exec(error.message)?.[1]
  if (number !== undefined) return Number(number)
  return error.name === 'Pkcs11Error' && 'code' in error && typeof error.code === 'number' ? error.code : undefined
}

/** The function of the module that failed, where pkcs11js names it. */
export const functionOf = (error: unknown): string =>
  error instanceof Error && 'method' in error && typeof error.method === 'string' ? error.method : ''

export const isCkrError = (error: unknown): boolean => ckrOf(error) !== undefined

/** Makes a call that may also answer with one of `codes`, and tells whether it did not. */
export function tolerate(codes: readonly number[], call: () => void): boolean {
  try {
    call()
    return true
  } catch (error) {
    const ckr = ckrOf(error)
    if (ckr !== undefined && codes.includes(ckr)) return false
    throw error
  }
}

/** As if the module had answered so. */
export const ckrError = (name: string, ckr: number): Error => new Error(`${name}:${ckr}`)
