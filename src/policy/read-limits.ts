import type { Dimension, Limit } from '../decision/policy.ts'
import { dimension, duration } from './dimension.ts'
import { choice, Fields, isWhole, list, positiveInteger, type Reader } from './fields.ts'
import { actionFilter, id, type Placed } from './names.ts'

/** How long anything may be remembered. */
export const window = duration('1s', '31d')

const LIMIT_FIELDS = ['id', 'count', 'per', 'max', 'window', 'over', 'actions']
const COUNTED: readonly Limit['count'][] = ['proposals', 'executions']
const OVER: readonly Limit['over'][] = ['review', 'reject']
const PER_HINT = 'Name what is counted per, such as `[subject.owner]`; `[]` counts all events together.'

export const limit =
  (actions: ReadonlySet<string>): Reader<Placed<Limit>> =>
  (source, value) => {
    const fields = Fields.of(source, value, LIMIT_FIELDS)
    if (fields === undefined) return undefined
    const parts = {
      id: fields.required('id', id, 'Give it a short name, such as `burst-per-seller`.'),
      count: fields.required('count', choice(COUNTED), 'Write `proposals` or `executions`.'),
      per: fields.required('per', dimensions, PER_HINT),
      max: fields.required('max', positiveInteger, 'How many are allowed in the window.'),
      windowMs: fields.required('window', window, 'How long one counts, such as `1m` or `1h`.'),
      over: fields.required('over', choice(OVER), 'Where events beyond the limit go: `review` or `reject`.'),
      actions: fields.optional<ReadonlySet<string> | null>('actions', actionFilter(actions), null),
    }
    return isWhole(parts) ? { value: parts, offset: fields.get('id')?.offset ?? fields.offset } : undefined
  }

const dimensions: Reader<readonly Dimension[]> = (source, value) => {
  const names = new Set<string>()
  const read: Reader<Dimension> = (source, item) => {
    const found = dimension(source, item)
    if (found === undefined) return undefined
    if (names.has(found.name)) return source.report(item.offset, `\`${found.name}\` is named twice`, 'Keep one.')
    names.add(found.name)
    return found
  }
  return list(read, { max: 8 })(source, value)
}
