import type { AdapterModule } from '../contract/index.ts'
import { KmipAdapter } from './adapter.ts'
import { KmipAdministration } from './administration.ts'
import type { KmipOptions } from './options.ts'

export { reach, type Reached, type Stage } from './reach.ts'
export type { KmipOptions, KmipServerOptions, KmipTlsSettings } from './options.ts'

export const { open, administer }: Required<AdapterModule<KmipOptions>> = {
  open: (options, report) => KmipAdapter.open(options, report),
  administer: async (options) => new KmipAdministration(options),
}
