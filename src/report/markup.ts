/** HTML or SVG that is already escaped. */
export type Markup = { readonly markup: string }

type Value = Markup | string | number | readonly Value[]

/** Markup from a template: text and numbers among the values are escaped, markup and lists of it go in as they are. */
export const html = (parts: TemplateStringsArray, ...values: readonly Value[]): Markup => ({
  markup: parts.reduce((text, part, index) => text + markupOf(values[index - 1] ?? '') + part),
})

function markupOf(value: Value): string {
  if (typeof value === 'number') return String(value)
  // A line must not break between a number and its sign.
  if (typeof value === 'string')
    return value.replaceAll(/[&<>"']/g, (it) => ENTITIES[it] ?? it).replaceAll(/(?<=\d) %/g, '\u00A0%')
  return 'markup' in value ? value.markup : value.map(markupOf).join('')
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
