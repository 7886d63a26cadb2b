import { html, type Markup } from './markup.ts'

export const section = (id: string, title: string, content: readonly Markup[]): Markup =>
  html`<section id="${id}">
    <h2>${title}</h2>
    ${content}
  </section>`

/** A cell: text, or a number, which stands to the right. */
export type Cell = string | { readonly number: string } | Markup

/** A table that scrolls by itself where it is wider than the page; `names` are a class for each row. */
export function table(
  heads: readonly Cell[],
  rows: readonly { readonly kind?: string; readonly cells: readonly Cell[] }[],
): Markup {
  return html`<div class="scroll" tabindex="0" role="group" aria-label="table">
    <table>
      <thead>
        <tr>
          ${heads.map((it) => html`<th scope="col" ${classOf(it)}>${contentOf(it)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ kind = '', cells }) =>
            html`<tr${kind === '' ? html`` : html` class="${kind}"`}>${cells.map((it) => html`<td${classOf(it)}>${contentOf(it)}</td>`)}</tr>
`,
        )}
      </tbody>
    </table>
  </div>`
}

const classOf = (cell: Cell): Markup => (typeof cell !== 'string' && 'number' in cell ? html` class="number"` : html``)

const contentOf = (cell: Cell): string | Markup => (typeof cell !== 'string' && 'number' in cell ? cell.number : cell)

export const number = (text: string): Cell => ({ number: text })

export const paragraph = (text: string | Markup): Markup => html`<p>${text}</p> `

export const figureOf = (drawing: Markup, caption: string | Markup): Markup =>
  html`<figure>
    ${drawing}
    <figcaption>${caption}</figcaption>
  </figure> `
