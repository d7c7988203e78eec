/**
 * Calls `work` with 0, 1, … `count` - 1 in this order, for at most `most` of them at a time. After a failure it begins no
 * more.
 * @throws the first failure
 */
export async function sideBySide(
  count: number,
  most: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < count) {
      const index = next++
      await work(index).catch((error: unknown) => {
        next = count
        throw error
      })
    }
  }
  await Promise.all(Array.from({ length: most }, lane))
}
