import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const all = ['test/**/*.test.ts', 'adapters/*/test/**/*.test.ts', 'src/conformance/test/**/*.test.ts']
/** Their times need a machine that does little else. */
const quiet = [
  'test/admin/doors.test.ts',
  'test/faults/flood.test.ts',
  'test/faults/matrix.test.ts',
  'test/tls/flood.test.ts',
  'test/kmip/gateway.test.ts',
  'test/kmip/overhead.test.ts',
]

/** They take long, and are begun first, in this order: else the other cores wait for them at the end. */
const long = [
  'test/pkcs11/recovery.test.ts',
  'test/http/kmip.test.ts',
  'test/contract/pykmip.test.ts',
  'src/conformance/test/protocol.test.ts',
  'test/workers/hsm.test.ts',
  'test/tls/identities.test.ts',
  'test/workers/workers.test.ts',
  'test/pkcs11/differential.test.ts',
  'test/pkcs11/host-starter.test.ts',
  'test/commands/serve.test.ts',
  'test/commands/quickstart.test.ts',
  'src/conformance/test/cryptography.test.ts',
  'test/kmip/pykmip.test.ts',
  'test/contract/kmip.test.ts',
  'test/http/pkcs11.test.ts',
  'test/http/pkcs11-faults.test.ts',
  'test/pkcs11/faults.test.ts',
  'test/pkcs11/data-keys.test.ts',
  'src/conformance/test/command.test.ts',
  'test/http/overload.test.ts',
  'test/http/soak.test.ts',
]

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = long.findIndex((path) => moduleId.endsWith(path))
      return index === -1 ? long.length : index
    }
    const sorted = await super.sort(files)
    return sorted.toSorted((one, other) => rank(one) - rank(other))
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
    expect: { poll: { interval: 10 } },
    sequence: { sequencer: LongFirst },
    projects: [
      // One more than the cores that it has to fit: most files wait for half of their time. A fourth would save nothing.
      group(0, 'busy', 3, all, quiet),
      group(1, 'quiet', 1, quiet),
    ],
  },
})
