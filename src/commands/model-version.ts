export type ModelVersion = { readonly name: string; readonly version: string }

/** `NAME@VERSION`, split at the last @; or what is wrong with it. */
export function modelOf(text: string): ModelVersion | string {
  const at = text.lastIndexOf('@')
  const [name, version] = [text.slice(0, Math.max(0, at)).trim(), text.slice(at + 1).trim()]
  if (at > 0 && name !== '' && version !== '') return { name, version }
  return `--model ${text}: write NAME@VERSION as the events do, e.g. moderator@2026-05; scores of another version mean something else`
}
