import { describeAdapter } from '../../contract/suite.ts'
import { describeConformance } from '../../http/conformance.ts'
import { describeSecrecy } from '../../http/secrecy.ts'
import { describeApi } from '../../http/suite.ts'
import { backendHarness, contractHarness } from '../../pkcs11/support/token-kind.ts'
import type { DeviceKind } from './device-kind.ts'
import { describeOutage } from './outage.ts'
import { describeWays } from './ways.ts'

/** All suites for a token with this name in the documentation. */
export function describeToken(kind: DeviceKind, name: string): void {
  const harness = backendHarness(kind)
  describeWays(kind, name)
  describeAdapter(contractHarness(kind))
  describeConformance(harness)
  describeApi(harness)
  describeSecrecy(harness)
  describeOutage(kind)
}
