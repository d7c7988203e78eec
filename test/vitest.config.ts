import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { compiledPrograms } from './support/compiled-programs.ts'

const all = ['test/**/*.test.ts', 'adapters/*/test/**/*.test.ts', 'src/conformance/test/**/*.test.ts']
/** These files measure times of the processor, and need a machine without other work. */
const quiet = [
  'test/faults/flood.test.ts',
  'test/tls/flood.test.ts',
  'test/kmip/overhead.test.ts',
  'test/commands/serve-times.test.ts',
]
/** These files measure times too, but mostly wait. One such file disturbs another one little. */
const calm = [
  'test/admin/doors.test.ts',
  'test/faults/slow-token.test.ts',
  'test/faults/matrix.test.ts',
  'test/kmip/gateway.test.ts',
  'test/kmip/found-again.test.ts',
  'test/pkcs11/recovery-times.test.ts',
  'test/software/refresh-times.test.ts',
  'src/conformance/test/right-proxy.test.ts',
]

/** These have commands of their own, such as `npm run test:deploy`. */
const apart = ['test/deploy/**', 'test/browser/**']

/**
 * Long files begin first, in about the order of their times. Otherwise the other cores would wait for them at the end.
 * Files that mostly wait stand between files that need the processor.
 */
const long = [
  'test/commands/start.test.ts',
  'test/http/kmip.test.ts',
  'test/workers/hsm.test.ts',
  'test/contract/pykmip.test.ts',
  'test/pkcs11/recovery.test.ts',
  'test/tls/identities.test.ts',
  'src/conformance/test/protocol.test.ts',
  'test/commands/init/answers.test.ts',
  'test/pkcs11/turns.test.ts',
  'test/commands/init/secrets.test.ts',
  'test/faults/matrix.test.ts',
  'test/pkcs11/slow-token.test.ts',
  'src/conformance/test/command.test.ts',
  'test/kmip/connections.test.ts',
  'test/workers/workers.test.ts',
  'test/commands/restart.test.ts',
  'test/commands/init/place.test.ts',
  'test/http/pkcs11-faults.test.ts',
  'test/contract/kmip.test.ts',
  'test/tls/balancer.test.ts',
  'test/commands/init/sessions.test.ts',
  'test/pkcs11/starter.test.ts',
  'src/conformance/test/cryptography.test.ts',
  'test/http/overload.test.ts',
  'test/http/nss.test.ts',
  'test/tls/strangers.test.ts',
  'test/http/pkcs11.test.ts',
  'test/kmip/silence.test.ts',
  'test/kmip/pykmip.test.ts',
  'test/pkcs11/recovery-times.test.ts',
  'test/fourth-kind/product.test.ts',
  'test/pkcs11/outgrown.test.ts',
  'test/commands/quickstart.test.ts',
  'test/pkcs11/faults.test.ts',
  'test/commands/init/as-user.test.ts',
  'test/pkcs11/differential.test.ts',
  'test/pkcs11/administration.test.ts',
  'test/pkcs11/data-keys.test.ts',
  'test/http/soak.test.ts',
  'test/commands/serve.test.ts',
]

/** These begin last, the longest first. They leave a large heap, and a large process takes long to start others. */
const large = [
  'adapters/ttlv-codec/test/linear.test.ts',
  'adapters/ttlv-codec/test/fuzz.test.ts',
  'test/x509/search.test.ts',
]

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const placeIn = (list: readonly string[]) => list.findIndex((path) => moduleId.endsWith(path))
      const [early, late] = [placeIn(long), placeIn(large)]
      return early === -1 ? long.length + 1 + late : early
    }
    const sorted = await super.sort(files)
    return sorted.toSorted((one, other) => rank(one) - rank(other))
  }
}

/** Groups of files that run in sequence, each with this many files at a time. */
const group = (groupOrder: number, name: string, maxWorkers: number, include: string[], exclude: string[] = []) => ({
  extends: true as const,
  test: { name, include, exclude, maxWorkers, sequence: { groupOrder } },
})

export default defineConfig({
  plugins: [compiledPrograms],
  test: {
    root: new URL('..', import.meta.url).pathname,
    globalSetup: 'test/contract/shared-keys.ts',
    pool: 'forks',
    // A process for each file would spend a quarter of the time on loading the same modules.
    isolate: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { interval: 10, timeout: 30_000 } },
    // Keeps a row's `$what` whole in the title of its test. Vitest cuts it after 40 characters by default.
    chaiConfig: { truncateThreshold: 200 },
    sequence: { sequencer: LongFirst },
    projects: [
      // Twice as many files as two cores: most files wait for half of their time.
      group(0, 'busy', 4, all, [...quiet, ...calm, ...apart]),
      group(1, 'calm', 2, calm),
      group(2, 'quiet', 1, quiet),
    ],
  },
})
