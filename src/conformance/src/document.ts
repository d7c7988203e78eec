import type { Case } from './case.ts'
import { catalogue, sections } from './catalogue.ts'
import { needsOf } from './listing.ts'

/** docs/conformance.md. `npm run docs:conformance` writes it, and a test holds the two equal. */
export function conformanceDocument(): string {
  const must = catalogue.filter(({ severity }) => severity === 'must').length
  return [
    INTRODUCTION,
    `## The catalogue`,
    `${catalogue.length} cases: ${must} must, ${catalogue.length - must} should. In brackets stands the clause: a heading of the EKM Proxy API 0.1-preview, or another document's section. \`ekm-gateway conformance --list\` prints the same, \`--list --format json\` for programs.`,
    ...sections.map(({ title, cases }) => `### ${title}\n\n${listOf(cases)}`),
  ].join('\n\n')
}

const listOf = (cases: readonly Case[]) => cases.map(itemOf).join('\n')

const itemOf = (entry: Case) => {
  const { id, severity, title, clause } = entry
  const wanted = needsOf(entry).map((option) => `\`${option}\``)
  const needs = wanted.length === 0 ? '' : `; needs ${wanted.join(', ')}`
  return `- \`${id}\` (${severity}): ${plain(title)} [${plain(clause)}${needs}]`
}

/** @returns `text` as Markdown that shows every character of it */
const plain = (text: string) => text.replaceAll('_', '\\_').replaceAll('*', '\\*')

const INTRODUCTION = `\
# Conformance

<!-- Made from the catalogue by npm run docs:conformance: change src/conformance/src/document.ts. -->

\`ekm-gateway conformance\` tells whether an EKM proxy keeps the rules of the Azure EKM Proxy API \`0.1-preview\`. It tests any proxy from outside, over mutual TLS, as Azure Managed HSM calls it. It uses no part of ekm-gateway. The suite is a package of its own, [ekm-conformance](../src/conformance/README.md); its command \`ekm-conformance\` is the same and needs no gateway. [Another page](conformance-results.md) has the results for ekm-gateway and for Cosmian's proxy, with versions.

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

Use test keys. The suite wraps and unwraps only throwaway data keys, changes nothing, and shows no value. But it makes about two thousand calls in a few seconds, and hundreds of them must fail. Each call is a record in the proxy's log, and Microsoft's suggested alerts will fire.

## What it needs

- \`--url https://HOST[:PORT][/PREFIX]\`: the URL of the proxy; the default port is 443
- \`--ca FILE\`: PEM of the root of the proxy's certificate
- \`--cert FILE\`, \`--key FILE\`: PEM of a client certificate that the proxy allows, with its intermediates, and its private key
- \`--aes-key NAME\`: an AES key; a second one shows that keys differ
- \`--rsa-key NAME\`: an RSA key; repeat it, one of each size. Each case is run on each
- \`--disabled-key NAME\`: a key that is disabled, expired or not yet active
- \`--refused NAME=CERT.PEM,KEY.PEM\`: a client that the proxy must refuse: another common name, another root that the proxy also trusts, an expired certificate. NAME is for the report

Without an option, the cases that need it are reported as not run, by name. The suite itself makes impostors: certificates with the right name that the right root did not issue.

\`--only ID\` runs one case or one group (\`--only tls\`, \`--only a256kw.integrity\`), \`--timeout SECONDS\` limits each case (default 60), and \`--concurrency NUMBER\` is how many run at the same time (default 4).

## What it says

- **must**: the reference requires it. If one such case fails, the proxy is not conformant.
- **should**: the reference is silent, or the rule comes from another document. The result is reported, but decides nothing. The statuses 404, 405, 413 and 415, for which the reference names no code, and the names of codes, which it leaves open, are of this kind.

| exit status | |
| --- | --- |
| 0 | conformant, as far as it was tested |
| 1 | not conformant |
| 2 | the suite could not be run: the proxy is unreachable, the client is refused, a key does not exist, a file cannot be read |

\`--format\` is \`text\` (in colour on a terminal, unless \`NO_COLOR\` is set), \`tap\`, \`junit\`, \`json\` or \`html\`: one page for filing, without scripts and links, with the results and the latency picture. A failed should is a TODO in \`tap\` and skipped in \`junit\`, so that it does not fail a build. A case that was not run is skipped in both.

For a failed case the report shows what was sent, what was expected, and what came back. Data keys, wrapped values and every member \`value\` are replaced by their length.

## Latency and load

Azure gives up after 250 ms. Every run measures the first call on a new connection (full handshake), the first call with a resumed session, and calls on a kept-alive connection.

\`--load RPS --duration SECONDS [--connections NUMBER]\` also plays a Managed HSM: \`info\` three times a minute, and wrapkey and unwrapkey in turn, with all keys and algorithms. The load is an open loop: each call has a fixed time, and its latency counts from that time, even if it could not be sent because earlier calls were not answered. Failed calls are counted, but are not in the distribution.

## What it cannot see

- What the proxy logs. Whether its keys are in hardware. Whether it sends intermediates to other clients than the suite.
- The check value and the padding inside A256KW and A256KWP, because only the proxy has the key. The suite sees only that changed values are refused and that round trips are right.
- Throttling, unless it happens: a 429 during the run is checked, and the call is repeated after \`Retry-After\`.
- Revocation, expiry of the proxy's own certificate, and drift of its allow-list.`
