import { Command } from 'commander'
import { withExamples } from './help.ts'
import { print } from './terminal.ts'

export const configCommand = () =>
  withExamples(
    new Command('config'),
    'config validate --config gateway.yaml',
    'config explain limits.deadlineMs',
    'config schema > ekm-gateway.schema.json',
  )
    .description('validate a configuration, explain its settings, or print its schema')
    .addCommand(
      withExamples(new Command('validate'), 'config validate --config gateway.yaml')
        .description('report every error in a configuration and the files that it names, with line numbers')
        .requiredOption('--config <file>', 'the configuration file')
        .action(async ({ config }: { config: string }) => {
          const { validate } = await import('./config/validate.ts')
          await validate(config)
        }),
    )
    .addCommand(
      withExamples(
        new Command('explain'),
        'config explain limits.deadlineMs',
        'config explain pools[].clients',
        'config explain backends.hsm.pin',
        'config explain | grep certificate',
      )
        .description('say what a setting means, its type, bounds, default and variable; without a setting, list all')
        .argument('[setting]', 'its path in the file, the end of that, or the name of its variable')
        .action(async (asked?: string) => {
          const { explain } = await import('./config/explain.ts')
          explain(asked)
        }),
    )
    .addCommand(
      withExamples(new Command('schema'), 'config schema > ekm-gateway.schema.json')
        .description("print the configuration's JSON Schema, for editors")
        .action(async () => {
          const { jsonSchema } = await import('./config/schema.ts')
          print(JSON.stringify(jsonSchema(), undefined, 2))
        }),
    )
