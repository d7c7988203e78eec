import type { Case } from './case.ts'
import { afterwardsCases } from './cases/afterwards.ts'
import { algorithmCases } from './cases/algorithms.ts'
import { bodyCases } from './cases/body.ts'
import { clientCases } from './cases/clients.ts'
import { disabledCases } from './cases/disabled.ts'
import { encodingCases } from './cases/encodings.ts'
import { httpCases } from './cases/http.ts'
import { keyWrapCases } from './cases/key-wrap.ts'
import { replyCases } from './cases/replies.ts'
import { rsaCases } from './cases/rsa.ts'
import { timingCases } from './cases/timing.ts'
import { tlsCases } from './cases/tls.ts'
import { urlCases } from './cases/url.ts'

/** A part of the catalogue, as the terminal and the documentation show it. */
export interface Section {
  readonly title: string
  readonly cases: readonly Case[]
}

export const sections: readonly Section[] = [
  { title: 'TLS', cases: tlsCases },
  { title: 'Clients', cases: clientCases },
  { title: 'URL, key names, api-version', cases: urlCases },
  { title: 'Request bodies', cases: bodyCases },
  { title: 'Replies of info and metadata', cases: replyCases },
  { title: 'Encoding of values', cases: encodingCases },
  { title: 'Algorithms', cases: algorithmCases },
  { title: 'AES key wrap', cases: keyWrapCases },
  { title: 'RSA-OAEP', cases: rsaCases },
  { title: 'Disabled keys', cases: disabledCases },
  { title: 'HTTP', cases: httpCases },
  { title: 'Latency and load', cases: timingCases },
  { title: 'Every answer of the run', cases: afterwardsCases },
]

export const catalogue: readonly Case[] = sections.flatMap(({ cases }) => cases)
