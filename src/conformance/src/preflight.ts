import { CouldNotRun } from './outcome.ts'
import { exchange, makeAgent, openSocket, tlsOptions } from './client.ts'
import { API_QUERY, requestContext } from './api.ts'
import { parseObject, reasonOf } from './probe.ts'
import type { Target } from './target.ts'

/** @throws CouldNotRun if a run would judge the options rather than the proxy */
export async function preflight(target: Target): Promise<void> {
  const where = `${target.host}:${target.port}`
  await openSocket(tlsOptions(target)).then(
    (socket) => socket.destroy(),
    (error: unknown) => {
      throw new CouldNotRun(`no TLS connection to ${where} (${reasonOf(error)})${hint(error)}`)
    },
  )
  const agent = makeAgent(target)
  try {
    const ask = async (operation: string) => {
      const path = `${target.prefix === '' ? '' : `/${target.prefix}`}/${operation}?${API_QUERY}`
      const answer = await exchange(target, agent, { path, body: JSON.stringify(requestContext()) }).catch(
        (error: unknown) => {
          throw new CouldNotRun(`${where} does not answer ${operation} (${reasonOf(error)})`)
        },
      )
      const code = parseObject(answer.text)?.['code']
      return { ...answer, code: typeof code === 'string' ? printable(code) : 'no code' }
    }
    const info = await ask('info')
    if (info.status === 401) throw new CouldNotRun(`${where} does not let the client of --cert in (401 ${info.code})`)
    if (info.status === 404) {
      throw new CouldNotRun(`info is not at ${where} (404 ${info.code}): is the prefix of --url right?`)
    }
    for (const name of [...target.aesKeys, ...target.rsaKeys]) {
      const { status, code } = await ask(`${name}/metadata`)
      if (status === 404) throw new CouldNotRun(`the proxy has no key ${name} (404 ${code})`)
    }
  } finally {
    agent.destroy()
  }
}

/** The proxy chose this text, and it goes to a terminal. */
const printable = (text: string) => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, 64)

function hint(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (/^(?:UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_)/.test(code)) return ': does its certificate lead to --ca?'
  if (code === 'ECONNREFUSED') return ': is it running?'
  return ''
}
