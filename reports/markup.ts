/** Text made safe for HTML and SVG, and tables of it. */

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** A text as it stands in HTML, in an attribute too. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => ENTITIES[c] as string);

/** A cell of a table: a number goes to the right, `html` is markup already. */
export type HtmlCell = string | number | { readonly html: string; readonly class?: string };

const isRight = (cell: HtmlCell | undefined): boolean =>
  typeof cell === "number" || (typeof cell === "object" && cell.class === "n");

/** A table, in a box that scrolls sideways where there is no room. The first column is made of headings. */
export function htmlTable(caption: string, head: readonly string[], rows: readonly (readonly HtmlCell[])[]): string {
  const cell = (value: HtmlCell, column: number): string => {
    const tag = column === 0 ? 'th scope="row"' : "td";
    const end = column === 0 ? "th" : "td";
    if (typeof value === "number") return `<${tag} class="n">${value}</${end}>`;
    if (typeof value === "string") return `<${tag}>${escapeHtml(value)}</${end}>`;
    return `<${tag}${value.class === undefined ? "" : ` class="${value.class}"`}>${value.html}</${end}>`;
  };
  const columns = head.map((_, column) => rows.map((row) => row[column]));
  const isNumeric = columns.map((cells) => cells.every((value) => value === "" || isRight(value)));
  const headings = head.map((text, i) => `<th scope="col"${isNumeric[i] ? ' class="n"' : ""}>${escapeHtml(text)}</th>`);
  const body = rows.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("\n");
  return `<div class="scroll"><table><caption>${escapeHtml(caption)}</caption><thead><tr>${headings.join("")}</tr></thead>
<tbody>
${body}
</tbody></table></div>`;
}
