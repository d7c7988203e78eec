/**
 * The `CK_RV` with which a call of the module failed. Undefined for any other error, such as pkcs11js's complaints
 * about an argument or a result.
 *
 * pkcs11js puts the number into the message, and gives it as `code` for some functions only. So this is the one place
 * that reads a message, and it reads only the number.
 */
export function ckrOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  const number = /^CKR_[A-Z0-9_]+:([0-9]+)$/.exec(error.message)?.[1]
  if (number !== undefined) return Number(number)
  return error.name === 'Pkcs11Error' && 'code' in error && typeof error.code === 'number' ? error.code : undefined
}

/** The function of the module that failed. Empty if pkcs11js does not name it. */
export const functionOf = (error: unknown): string =>
  error instanceof Error && 'method' in error && typeof error.method === 'string' ? error.method : ''

export const isCkrError = (error: unknown): boolean => ckrOf(error) !== undefined

/**
 * Makes a call that may fail with one of `codes`.
 * @returns whether it succeeded
 */
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

/** An error as if the module had answered with `ckr`. */
export const ckrError = (name: string, ckr: number): Error => new Error(`${name}:${ckr}`)
