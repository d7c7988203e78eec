import { withAllBelow, type CommandNode, type OptionNode } from './command-tree.ts'

/** The manual page, in the macros of man(7). `date` is the release's date, such as `2026-11-29`. */
export function manual(root: CommandNode, version: string, date: string): string {
  const all = withAllBelow(root)
  return (
    [
      `.TH EKM\\-GATEWAY 1 ${date} "ekm-gateway ${text(version)}"`,
      '.SH NAME',
      'ekm\\-gateway \\- Azure EKM Proxy for keys that stay outside Azure',
      '.SH SYNOPSIS',
      all
        .filter(({ commands }) => commands.length === 0)
        .map(({ path, usage }) => synopsis(path, usage))
        .join('\n.br\n'),
      '.SH DESCRIPTION',
      text(root.description),
      '.SH COMMANDS',
      ...all.flatMap((node) => (node.commands.length === 0 ? section(node) : [])),
      '.SH OPTIONS',
      ...root.options.flatMap(option),
      '.SH FILES',
      ...definition('/etc/ekm-gateway/gateway.yaml', 'the configuration that the service of the Debian package reads'),
      ...definition('/etc/ekm-gateway/secrets', 'private keys, passphrases and PINs, which only root reads'),
      ...definition('/var/lib/ekm-gateway', 'the software key store, if there is one'),
      '.SH EXIT STATUS',
      ...definition('0', 'done'),
      ...definition('1', 'not done; the message says what to do'),
      ...definition('70', 'an internal error; please report it'),
      ...definition('78', 'serve: the configuration is wrong, and another start would fail too'),
      '.SH SIGNALS',
      ...definition('SIGHUP', 'serve reads its configuration again'),
      ...definition('SIGTERM', 'serve lets the load balancer notice, finishes what is under way, and ends'),
    ].join('\n') + '\n'
  )
}

const text = (raw: string) =>
  raw
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1')
const bold = (raw: string) => `\\fB${text(raw)}\\fR`
const synopsis = (path: string, usage: string) => bold(path) + text(usage.slice(path.length))
const definition = (term: string, meaning: string) => ['.TP', bold(term), text(meaning)]
const section = ({ path, usage, description, options }: CommandNode) => [
  '.SS ' + text(path),
  synopsis(path, usage),
  '.PP',
  text(description),
  ...options.flatMap(option),
]
const option = ({ names, value = '', description, choices }: OptionNode) =>
  definition(
    [names.join(', '), value].join(' ').trim(),
    choices.length === 0 ? description : `${description}: ${choices.join(', ')}`,
  )
