import { open, type Pkcs11Adapter, type Pkcs11Options } from '../../../adapters/pkcs11/index.ts'
import { recorder, type Reported } from './harness.ts'

/** Does `work` with an adapter, and closes the adapter. `of` returns the adapter's reports of an event. */
export async function withAdapter(
  options: Pkcs11Options,
  work: (adapter: Pkcs11Adapter, of: (event: string) => Reported[]) => Promise<void>,
): Promise<void> {
  const { report, of } = recorder()
  const adapter = await open(options, report)
  try {
    await work(adapter, of)
  } finally {
    await adapter.close()
  }
}
