import { withAllBelow, type CommandNode, type OptionNode } from './command-tree.ts'

const words = ({ commands, options }: CommandNode) =>
  [...commands.map(({ name }) => name), ...options.flatMap(({ names }) => names)].join(' ')
const quoted = (raw: string) => `'${raw.replaceAll("'", `'\\''`)}'`
const withValue = ({ options }: CommandNode) => options.filter(({ value }) => value !== undefined)

/** A shell function body that finds the typed command, and puts its words into `path`. */
const findPath = (all: readonly CommandNode[], from: string) => `\
  local path=ekm-gateway word
  for word in ${from}; do
    case "$path $word" in
    ${all
      .slice(1)
      .map(({ path }) => quoted(path))
      .join(' | ')}) path="$path $word" ;;
    esac
  done`

export function bashCompletion(root: CommandNode): string {
  const all = withAllBelow(root)
  const valueOf = (option: OptionNode) =>
    option.takesPath
      ? 'COMPREPLY=($(compgen -f -- "$current"))'
      : `COMPREPLY=($(compgen -W ${quoted(option.choices.join(' '))} -- "$current"))`
  const values = all.flatMap((node) =>
    withValue(node).map(
      (option) =>
        `  ${option.names.map((name) => quoted(`${node.path} ${name}`)).join(' | ')}) ${valueOf(option)}; return ;;`,
    ),
  )
  return `\
# bash completion of ekm-gateway, made from its commands
_ekm_gateway() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
${findPath(all, '"${COMP_WORDS[@]:1:COMP_CWORD-1}"')}
  case "$path $before" in
${values.join('\n')}
  esac
  case "$path" in
${all.map((node) => `  ${quoted(node.path)}) COMPREPLY=($(compgen -W ${quoted(words(node))} -- "$current")) ;;`).join('\n')}
  esac
}
complete -o filenames -F _ekm_gateway ekm-gateway
`
}

export function zshCompletion(root: CommandNode): string {
  const all = withAllBelow(root)
  const described = (name: string, description: string) => quoted(`${name.replaceAll(':', '\\:')}:${description}`)
  const items = ({ commands, options }: CommandNode) => [
    ...commands.map(({ name, description }) => described(name, description)),
    ...options.flatMap(({ names, description }) => names.map((name) => described(name, description))),
  ]
  const values = all.flatMap((node) =>
    withValue(node).map(
      (option) =>
        `  ${option.names.map((name) => quoted(`${node.path} ${name}`)).join(' | ')}) ${option.takesPath ? '_files' : `compadd -- ${option.choices.map(quoted).join(' ')}`}; return ;;`,
    ),
  )
  return `\
#compdef ekm-gateway
# zsh completion of ekm-gateway, made from its commands
_ekm_gateway() {
  local -a items
${findPath(all, '"${(@)words[2,CURRENT-1]}"').replaceAll('path', 'command')}
  case "$command \${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  case "$command" in
${all.map((node) => `  ${quoted(node.path)}) items=(${items(node).join(' ')}) ;;`).join('\n')}
  esac
  _describe 'ekm-gateway' items
}
_ekm_gateway "$@"
`
}

export function fishCompletion(root: CommandNode): string {
  const lines = withAllBelow(root).flatMap((node) => {
    const [, ...path] = node.path.split(' ')
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`)
    const none =
      node.commands.length === 0
        ? []
        : [`not __fish_seen_subcommand_from ${node.commands.map(({ name }) => name).join(' ')}`]
    const when = [...seen, ...none].join('; and ')
    const line = (rest: string) => `complete -c ekm-gateway${when === '' ? '' : ` -n ${quoted(when)}`} ${rest}`
    return [
      ...node.commands.map(({ name, description }) => line(`-f -a ${name} -d ${quoted(description)}`)),
      ...node.options.map(({ names, value, description, choices, takesPath }) => {
        const name = names.map((one) => (one.startsWith('--') ? `-l ${one.slice(2)}` : `-s ${one.slice(1)}`)).join(' ')
        const wants =
          value === undefined
            ? '-f'
            : takesPath
              ? '-r -F'
              : `-x${choices.length > 0 ? ` -a ${quoted(choices.join(' '))}` : ''}`
        return line(`${name} ${wants} -d ${quoted(description)}`)
      }),
    ]
  })
  return (
    ['# fish completion of ekm-gateway, made from its commands', 'complete -c ekm-gateway -f', ...lines].join('\n') +
    '\n'
  )
}
