import { conformanceCommand as conformance } from '../conformance/src/index.ts'

export const conformanceCommand = () =>
  conformance('conformance').description(
    'test any EKM proxy from outside, against the EKM Proxy API 0.1-preview; docs/conformance.md',
  )
