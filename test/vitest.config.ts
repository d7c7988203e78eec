import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const all = ['test/**/*.test.ts', 'adapters/*/test/**/*.test.ts']
/** They assert that something is done within a time. Most of theirs they wait, so that they are good company to each other. */
const timed = [
  'adapters/ttlv-codec/test/linear.test.ts',
  'test/commands/serve.test.ts',
  'test/http/clock.test.ts',
  'test/http/faults.test.ts',
  'test/http/overload.test.ts',
  'test/http/pkcs11-faults.test.ts',
  'test/kmip/connections.test.ts',
  'test/kmip/faults.test.ts',
  'test/kmip/pykmip.test.ts',
  'test/pkcs11/faults.test.ts',
  'test/pkcs11/host-starter.test.ts',
  'test/pkcs11/outgrown.test.ts',
  'test/pkcs11/recovery.test.ts',
  'test/software/refresh.test.ts',
  'test/software/stretch-once.test.ts',
  'test/telemetry/blocked.test.ts',
  'test/telemetry/log.test.ts',
  'test/tls/gate.test.ts',
]
/** Their times need a machine that does little else. */
const quiet = ['test/tls/flood.test.ts', 'test/kmip/gateway.test.ts', 'test/kmip/overhead.test.ts']

/** They take long, and are begun first: else the other cores wait for them at the end. */
const long = [
  'test/http/kmip.test.ts',
  'test/contract/pykmip.test.ts',
  'test/conformance/protocol.test.ts',
  'test/pkcs11/recovery.test.ts',
]

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => long.some((path) => moduleId.endsWith(path))
    const sorted = await super.sort(files)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

/** Files of which so many run at a time, one group after the other. */
const group = (groupOrder: number, name: string, maxWorkers: number, include: string[], exclude: string[] = []) => ({
  extends: true as const,
  test: { name, include, exclude, maxWorkers, sequence: { groupOrder } },
})

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    pool: 'forks',
    // A process for each file would spend a quarter of the time on loading the same modules.
    isolate: false,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    sequence: { sequencer: LongFirst },
    projects: [
      // For two cores: a third file takes what the others leave while they wait.
      group(0, 'busy', 3, all, [...timed, ...quiet]),
      group(1, 'timed', 3, timed),
      group(2, 'quiet', 1, quiet),
    ],
  },
})
