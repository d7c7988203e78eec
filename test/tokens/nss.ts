import { nssDatabases } from './support/nss.ts'
import { describeOutage } from './support/outage.ts'
import { describeWays } from './support/ways.ts'

// The common suites run on it in `npm test`.
describeWays(nssDatabases, 'NSS softokn')
describeOutage(nssDatabases)
