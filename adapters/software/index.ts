import type { AdapterModule } from '../contract/index.ts'
import { SoftwareAdapter } from './adapter.ts'
import { SoftwareAdministration } from './administration.ts'
import type { SoftwareOptions } from './options.ts'

export type { SoftwareOptions } from './options.ts'

export const { open, administer }: Required<AdapterModule<SoftwareOptions>> = {
  open: (options, report) => SoftwareAdapter.open(options, report),
  administer: async (options) => new SoftwareAdministration(options),
}
