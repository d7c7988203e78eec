import { toJsonSchema } from '@valibot/to-json-schema'
import { Command } from 'commander'
import * as v from 'valibot'
import { loadConfig } from '../config/load.ts'
import { configSchema } from '../config/schema.ts'
import { Variables } from '../settings/variables.ts'
import { Trust } from '../tls/trust.ts'
import { print } from './terminal.ts'

export const configCommand = () =>
  new Command('config')
    .description('look at a configuration without serving it')
    .addCommand(
      new Command('validate')
        .description('tell everything that is wrong with a configuration, with line numbers; reads every file it names')
        .requiredOption('--config <file>', 'the configuration file')
        .action(async ({ config }: { config: string }) => {
          const { pools, backends } = loadConfig(config, new Variables(process.env))
          await new Trust(pools.flatMap(({ clients }) => clients)).prepare()
          const counts = `pools: ${pools.length}, backends: ${Object.keys(backends).length}`
          print(`${config} is valid (${counts})`)
        }),
    )
    .addCommand(
      new Command('schema')
        .description("print the configuration's JSON Schema, for editors")
        .action(() => print(JSON.stringify(jsonSchema(), undefined, 2))),
    )

/** Of what the file holds: the checks that follow a reference, or compare two settings, have no place in a JSON Schema. */
export const jsonSchema = () =>
  toJsonSchema(configSchema({ directory: '.', variables: new Variables({}) }), {
    typeMode: 'input',
    errorMode: 'ignore',
    target: 'draft-2020-12',
    overrideSchema: ({ valibotSchema, jsonSchema }) => {
      const { entries = {} } = valibotSchema as { readonly entries?: Readonly<Record<string, MaybeWrapped>> }
      for (const [name, setting] of Object.entries(entries)) {
        // It stands behind the steps that follow a reference, where the converter does not look for it.
        const description = v.getDescription(setting.wrapped ?? setting)
        const property = jsonSchema.properties?.[name]
        if (typeof property === 'object' && description !== undefined) property.description = description
      }
      return jsonSchema
    },
  })

type MaybeWrapped = v.GenericSchema & { readonly wrapped?: v.GenericSchema }
