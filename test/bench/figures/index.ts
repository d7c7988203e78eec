import type { Figure } from '../figure.ts'
import { builds } from './builds.ts'
import { disturbed } from './disturbed.ts'
import { firstRequest } from './first-request.ts'
import { floods } from './floods.ts'
import { handshakes } from './handshakes.ts'
import { kmipDistance } from './kmip-distance.ts'
import { kmipLatency } from './kmip-latency.ts'
import { profile } from './profile.ts'
import { rate } from './rate.ts'
import { rsa } from './rsa.ts'
import { slowKey } from './slow-key.ts'
import { soak } from './soak.ts'
import { softhsm } from './softhsm.ts'
import { softhsmLatency } from './softhsm-latency.ts'
import { start } from './start.ts'
import { workers } from './workers.ts'
import { wrap } from './wrap.ts'

/** In the order of measurement and of the listing. */
export const figures: readonly Figure[] = [
  wrap,
  profile,
  softhsm,
  softhsmLatency,
  kmipLatency,
  kmipDistance,
  rate,
  disturbed,
  handshakes,
  firstRequest,
  floods,
  rsa,
  slowKey,
  workers,
  start,
  soak,
  builds,
]
