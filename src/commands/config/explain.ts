import { OperatorError } from '../../../adapters/contract/index.ts'
import { findSettings, meantSetting } from '../explain/find.ts'
import { settingsOf } from '../explain/settings.ts'
import { explanation, overview } from '../explain/text.ts'
import { print } from '../terminal.ts'
import { jsonSchema } from './schema.ts'

export function explain(asked: string | undefined): void {
  const settings = settingsOf(jsonSchema())
  if (asked === undefined) return print(overview(settings))
  const found = findSettings(asked, settings)
  if (found.length > 0) return print(found.map((one) => explanation(one, settings)).join('\n\n'))
  const meant = meantSetting(asked, settings)
  const advice = meant === undefined ? '' : `; did you mean ${meant}?`
  throw new OperatorError('SETTING_UNKNOWN', `there is no setting ${asked}: config explain lists all${advice}`)
}
