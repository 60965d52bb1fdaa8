/** A table as plain text: columns lined up, a rule under the head. */

/** One cell; a number is put to the right. */
export type TableCell = string | number;

/**
 * Lines up rows under a head.
 *
 * A text may have several lines; the rows beside it are filled up. A column is on the right if all its cells below the
 * head are numbers or empty.
 */
export function textTable(head: readonly string[], rows: readonly (readonly TableCell[])[]): string {
  const columns = head.map((_, column) => rows.map((row) => row[column] ?? ""));
  const right = columns.map((cells) => cells.every((cell) => typeof cell === "number" || cell === ""));
  const width = columns.map((cells, column) =>
    Math.max((head[column] as string).length, ...cells.flatMap((cell) => linesOf(cell).map((line) => line.length))),
  );
  const pad = (text: string, column: number): string =>
    right[column] ? text.padStart(width[column] as number) : text.padEnd(width[column] as number);
  const line = (cells: readonly string[]): string => cells.map(pad).join("  ").trimEnd();
  const out = [line(head), width.map((n) => "-".repeat(n)).join("  ")];
  for (const row of rows) {
    const cells = head.map((_, column) => linesOf(row[column] ?? ""));
    const height = Math.max(...cells.map((lines) => lines.length));
    for (let i = 0; i < height; i++) out.push(line(cells.map((lines) => lines[i] ?? "")));
  }
  return out.join("\n");
}

const linesOf = (cell: TableCell): string[] => String(cell).split("\n");
