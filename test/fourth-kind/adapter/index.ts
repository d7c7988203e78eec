import type { AdapterModule } from '../../../adapters/contract/index.ts'
import { TransitAdapter } from './adapter.ts'
import { TransitAdministration } from './administration.ts'
import type { TransitOptions } from './options.ts'

export const { open, administer }: Required<AdapterModule<TransitOptions>> = {
  open: (options, report) => TransitAdapter.open(options, report),
  administer: async (options) => new TransitAdministration(options),
}
