import type { Connection } from './connection.ts'

export type PingAnswer = 'accepted' | 'login refused'

/**
 * Pings connections, all at once if no ping is a login. Otherwise it pings the first, and the others only if that one
 * does not show that the login is refused: a few refused logins may lock the account.
 *
 * @param ping resolves with undefined for a connection that does not answer
 * @param accepted resolves if the server accepts the login elsewhere
 */
export async function pingAll(
  connections: readonly Connection[],
  ping: (connection: Connection) => Promise<PingAnswer | undefined>,
  areLogins: boolean,
  accepted?: Promise<void>,
): Promise<PingAnswer> {
  const [first, ...others] = areLogins ? connections : []
  if (first === undefined) {
    await Promise.all(connections.map(ping))
    return 'accepted'
  }
  const answer = await Promise.race([ping(first), ...(accepted === undefined ? [] : [accepted])])
  if (answer === 'login refused') return answer
  await Promise.all(others.map(ping))
  return 'accepted'
}
