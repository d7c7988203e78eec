import { toJsonSchema } from '@valibot/to-json-schema'
import * as v from 'valibot'
import { configSchema } from '../../config/schema.ts'
import { Variables } from '../../settings/variables.ts'
import type { JsonSchema } from '../explain/json-schema.ts'

/**
 * The schema of the file's contents. Checks that follow a reference or compare two settings cannot be expressed in a
 * JSON Schema.
 */
export const jsonSchema = (): JsonSchema =>
  toJsonSchema(configSchema({ directory: '.', variables: new Variables({}) }), {
    typeMode: 'input',
    errorMode: 'ignore',
    target: 'draft-2020-12',
    overrideSchema: ({ valibotSchema, jsonSchema }) => {
      const { entries = {} } = valibotSchema as { readonly entries?: Readonly<Record<string, MaybeWrapped>> }
      for (const [name, setting] of Object.entries(entries)) {
        // The metadata are behind the steps that follow a reference, where the converter does not look.
        const description = v.getDescription(setting.wrapped ?? setting)
        const examples = v.getExamples(setting.wrapped ?? setting)
        const property = jsonSchema.properties?.[name]
        if (typeof property !== 'object') continue
        if (description !== undefined) property.description = description
        if (examples.length > 0) property.examples = [...examples]
        else delete property.examples
      }
      return jsonSchema
    },
  }) as JsonSchema

type MaybeWrapped = v.GenericSchema & { readonly wrapped?: v.GenericSchema }
