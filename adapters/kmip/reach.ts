import type { KmipOptions } from './options.ts'
import { KmipCluster } from './transport/cluster.ts'
import { isClientRefused, isTlsCode, LOGIN_REFUSED, NO_ANSWER, ServerUnreachable } from './transport/unreachable.ts'

/** Where the way to a server ends. */
export type Stage = 'address' | 'TLS' | "server's certificate" | "client's certificate" | 'login' | 'answer'

export interface Reached {
  /** `host:port`. */
  readonly address: string
  /** Absent for a server that answers. */
  readonly failed?: { readonly stage: Stage; readonly why: string }
}

/** How far each server can be reached, in the operator's order: each is asked once, by a connection of its own. */
export async function reach(options: KmipOptions): Promise<readonly Reached[]> {
  const cluster = new KmipCluster({ ...options, connections: 1 }, () => undefined)
  try {
    return (await cluster.survey()).map(([address, said]) =>
      said instanceof Error ? { address, failed: failureOf(said) } : { address },
    )
  } finally {
    cluster.close()
  }
}

function failureOf(error: Error): NonNullable<Reached['failed']> {
  if (!(error instanceof ServerUnreachable)) return { stage: 'answer', why: error.message }
  const { code, sentence } = error
  return { stage: stageOf(code), why: sentence ?? code }
}

function stageOf(code: string): Stage {
  if (code === LOGIN_REFUSED) return 'login'
  if (code === NO_ANSWER) return 'answer'
  if (isClientRefused(code)) return "client's certificate"
  if (!isTlsCode(code)) return 'address'
  return code.startsWith('ERR_SSL_') ? 'TLS' : "server's certificate"
}
