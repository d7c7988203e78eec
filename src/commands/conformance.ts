import { conformanceCommand as conformance } from '../conformance/src/index.ts'
import { withExamples } from './help.ts'

export const conformanceCommand = () =>
  withExamples(
    conformance('conformance'),
    'conformance --list',
    'conformance --url https://ekm.example.com/azureekm/contoso --ca root.pem --cert client.pem --key client.key --aes-key aes-1 --rsa-key rsa-1',
  ).description('test any EKM proxy from outside, against the EKM Proxy API 0.1-preview; docs/conformance.md')
