import { nssDatabases } from './support/nss.ts'
import { describeOutage } from './support/outage.ts'
import { describeWays } from './support/ways.ts'

// `npm test` runs the common suites on it.
describeWays(nssDatabases, 'NSS softokn')
describeOutage(nssDatabases)
