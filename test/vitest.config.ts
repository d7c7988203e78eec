import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const all = ['test/**/*.test.ts', 'adapters/*/test/**/*.test.ts']
/** They wait most of their time, so that a third of them has room beside two. */
const patient = [
  'test/conformance/protocol.test.ts',
  'test/http/overload.test.ts',
  'test/http/soak.test.ts',
  'test/pkcs11/host-starter.test.ts',
  'test/pkcs11/outgrown.test.ts',
  'test/pkcs11/recovery.test.ts',
  'test/tls/listener.test.ts',
]
/** Their times need a machine that does little else. */
const quiet = [
  'test/admin/doors.test.ts',
  'test/http/saturation.test.ts',
  'test/tls/flood.test.ts',
  'test/kmip/gateway.test.ts',
  'test/kmip/overhead.test.ts',
]

/** They take long, and are begun first: else the other cores wait for them at the end. */
const long = [
  'test/http/kmip.test.ts',
  'test/contract/pykmip.test.ts',
  'test/conformance/protocol.test.ts',
  'test/pkcs11/recovery.test.ts',
  'test/tls/identities.test.ts',
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
      group(0, 'patient', 3, patient),
      // As many as the cores that it has to fit. One more would save a tenth of the time, and make a slow machine break times.
      group(1, 'busy', 2, all, [...patient, ...quiet]),
      group(2, 'quiet', 1, quiet),
    ],
  },
})
