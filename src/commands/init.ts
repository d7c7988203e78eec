import { Command, Option } from 'commander'
import { initQuestions } from '../backends/index.ts'
import { ENV, type Question, type SecretQuestion } from '../backends/interview.ts'
import { questions } from './init/questions.ts'

interface InitFlags {
  readonly config: string
  readonly as?: string
  readonly yes?: true
  readonly apply?: true
}

export const initCommand = () => {
  const command = new Command('init')
    .description('ask for what only you know, try each answer, and write a configuration; docs/init.md')
    .option('--config <file>', 'the configuration file', 'gateway.yaml')
    .option('--as <user>', "look and write as the gateway's user; only root can do this")
    .option('--yes', 'ask nothing: take the defaults; an answer that is missing is an error')
    .option('--apply', 'change a configuration that is there; without it, changes are proposed')
  for (const question of Object.values(questions)) optionsOf(question).forEach((option) => command.addOption(option))
  for (const [kind, ofKind] of initQuestions()) {
    const options = ofKind.flatMap(optionsOf).map((option) => option.helpGroup(`With --backend ${kind}:`))
    options.forEach((option) => command.addOption(option))
  }
  return command.addHelpText('after', HELP).action(async (flags: InitFlags) => {
    const { init } = await import('./init/session.ts')
    const given = command.options.flatMap((option): [string, string][] => {
      const value: unknown = command.getOptionValue(option.attributeName())
      return typeof value === 'string' ? [[option.name(), value]] : []
    })
    const status = await init({
      config: flags.config,
      ...(flags.as !== undefined && { as: flags.as }),
      yes: flags.yes === true,
      apply: flags.apply === true,
      given: new Map(given),
    })
    // A library of a backend may still hold the process open.
    process.exit(status)
  })
}

function optionsOf(question: Question | SecretQuestion): Option[] {
  if ('option' in question) return [new Option(`--${question.option} <answer>`, question.asks)]
  const { secret, asks } = question
  return [
    new Option(`--${secret}-file <answer>`, asks),
    new Option(`--${secret}-env <name>`, 'the environment variable that holds it').argParser((name) => ENV + name),
  ]
}

const HELP = `
Examples:
  ekm-gateway init
  ekm-gateway init --yes --hsm-name contoso --host-name ekm.example.com --server-certificate trial \\
    --az-file azure-client.json --backend software --create-key kek-2027:RSA-3072
  ekm-gateway init --yes --hsm-name contoso --host-name ekm.example.com --certificate server.pem --key server.key \\
    --server-ca root.pem --az-file azure-client.json --backend pkcs11 --module /usr/lib/libhsm.so --token prod \\
    --pin-file pin --keys payroll-2027

Exit status: 0 the file says what was answered, 1 an answer was refused or is missing, 3 changes are proposed.`
