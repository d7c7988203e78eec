import type { Case } from './case.ts'
import { catalogue, sections } from './catalogue.ts'
import { needsOf } from './listing.ts'

/** docs/conformance.md: `npm run docs:conformance` writes it, and a test holds the two equal. */
export function conformanceDocument(): string {
  const must = catalogue.filter(({ severity }) => severity === 'must').length
  return [
    INTRODUCTION,
    `## The catalogue`,
    `${catalogue.length} cases: ${must} must, ${catalogue.length - must} should. The clauses are headings of the EKM Proxy API 0.1-preview, or other documents' sections. \`ekm-gateway conformance --list\` prints the same, \`--list --format json\` for programs.`,
    ...sections.map(({ title, cases }) => `### ${title}\n\n${table(cases)}`),
  ].join('\n\n')
}

const table = (cases: readonly Case[]) =>
  ['| id | | what holds | clause | needs |', '| --- | --- | --- | --- | --- |', ...cases.map(row)].join('\n')

const row = (entry: Case) => {
  const { id, severity, title, clause } = entry
  const wanted = needsOf(entry).map((option) => `\`${option}\``)
  return `| \`${id}\` | ${severity} | ${cell(title)} | ${cell(clause)} | ${wanted.join(', ')} |`
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('_', '\\_').replaceAll('*', '\\*')

const INTRODUCTION = `\
# Conformance

<!-- Made from the catalogue by npm run docs:conformance: change src/conformance/src/document.ts. -->

\`ekm-gateway conformance\` tells whether an EKM proxy keeps the rules of the Azure EKM Proxy API \`0.1-preview\`. It tests from outside, over mutual TLS, as Azure Managed HSM calls: any proxy, not only ekm-gateway, of which it uses nothing. The suite is a package of its own, [ekm-conformance](../src/conformance/README.md): its command \`ekm-conformance\` is the same, and needs no gateway. [What it said](conformance-results.md) of ekm-gateway and of Cosmian's proxy, with versions, is a page of its own.

\`\`\`sh
ekm-gateway conformance --url https://ekm.example.com/azureekm/contoso \\
  --ca server-ca.pem --cert client.pem --key client.key \\
  --aes-key aes-1 --aes-key aes-2 --rsa-key rsa-1 --disabled-key old-1 \\
  --refused another-name=fabrikam.pem,fabrikam.key --refused expired=expired.pem,expired.key
\`\`\`

Against the [quickstart](quickstart.md), which has no second AES key and no disabled one:

\`\`\`sh
ekm-gateway conformance --url https://localhost:8443/azureekm/quickstart --ca ekm-quickstart/server-ca.pem \\
  --cert ekm-quickstart/client.pem --key ekm-quickstart/client.key --aes-key aes-1 --rsa-key rsa-1
\`\`\`

Use test keys. It wraps and unwraps throwaway data keys only, changes nothing, and shows no value. But it makes about two thousand calls in a few seconds, hundreds of which must fail, and each is a record in the proxy's log. Microsoft's suggested alerts will fire.

## What it needs

| option | for |
| --- | --- |
| \`--url https://HOST[:PORT][/PREFIX]\` | where the proxy is; the port is 443 if it is left out |
| \`--ca FILE\` | PEM of the root that the proxy's certificate leads to |
| \`--cert FILE\`, \`--key FILE\` | PEM of a client certificate that the proxy allows, with its intermediates, and its private key |
| \`--aes-key NAME\` | an AES key; a second one shows that keys differ |
| \`--rsa-key NAME\` | an RSA key; repeat it, one of each size. Each case is run on each |
| \`--disabled-key NAME\` | a key that is disabled, expired or not yet active |
| \`--refused NAME=CERT.PEM,KEY.PEM\` | a client that must be turned away: another common name, another root that the proxy also trusts, an expired certificate. NAME is for the report |

What is not given is not tested: those cases are reported as not run, by name. Impostors, that is certificates with the right name which the right root did not issue, are made by the suite itself.

\`--only ID\` runs one case or one group (\`--only tls\`, \`--only a256kw.integrity\`), \`--timeout SECONDS\` bounds a case (60), \`--concurrency NUMBER\` says how many run at the same time (4).

## What it says

- **must**: the reference obliges. One such case that fails, and the proxy is not conformant.
- **should**: the reference is silent, or it is somebody else's rule. It is told, and decides nothing. So are the statuses 404, 405, 413 and 415, for which the reference names no code, and the names of codes, which it leaves open.

| exit status | |
| --- | --- |
| 0 | conformant, as far as it was tested |
| 1 | not conformant |
| 2 | could not be run: unreachable, the client is not let in, a key is not there, a file cannot be read |

\`--format\` is \`text\` (in colour on a terminal, unless \`NO_COLOR\` is set), \`tap\`, \`junit\`, \`json\` or \`html\`: one page without scripts and links, with the results and the latency picture, that can be filed. In \`tap\` a failed should is a TODO, in \`junit\` it is skipped, so that neither fails a build. What is not run is skipped in both.

A failed case tells what was sent, what was expected, and what came back. Data keys, wrapped values and every member \`value\` are replaced by their length.

## Latency and load

Azure gives up after 250 ms. Every run measures the first call on a new connection (full handshake), the first call with a resumed session, and calls on a kept-alive connection.

\`--load RPS --duration SECONDS [--connections NUMBER]\` plays a Managed HSM on top: \`info\` three times a minute, and wrapkey and unwrapkey in turn, over all keys and algorithms. It is open loop: each call has its time, and its latency counts from then, even if it could not be sent because earlier calls were not answered. Failed calls are counted, and are not in the distribution.

## What it cannot see

- What the proxy logs. Whether it holds keys in hardware. Whether it sends intermediates to clients that need them, other than to the suite.
- The check value and the padding inside A256KW and A256KWP, of which only the proxy has the key: changes to a wrapped value are seen as refused, and round trips as right.
- Throttling, unless it happens: a 429 during the run is looked at, and the call is made again after \`Retry-After\`.
- Revocation, expiry of the proxy's own certificate, and drift of its allow-list.`
