/** Output for a person: columns, or one thing's fields; and JSON for a program. */
import { printable } from "./failure.ts"
import type { Io } from "./io.ts"

type Cell = string | number | boolean | null | undefined

/** Rows in columns under their headers, or a sentence when there are none. */
export function printTable(io: Io, headers: readonly string[], rows: readonly (readonly Cell[])[], none: string): void {
  if (rows.length === 0) {
    io.out(`${none}\n`)
    return
  }
  const cells = [headers, ...rows].map((row) => row.map(textOf))
  const widths = headers.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  for (const row of cells)
    io.out(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()}\n`,
    )
}

/** `name  value` lines, aligned. */
export function printFields(io: Io, fields: Readonly<Record<string, Cell>>): void {
  const width = Math.max(...Object.keys(fields).map((name) => name.length))
  for (const [name, value] of Object.entries(fields)) io.out(`${name.padEnd(width)}  ${textOf(value)}\n`)
}

export function printJson(io: Io, value: unknown): void {
  io.out(`${JSON.stringify(value, null, 2)}\n`)
}

function textOf(cell: Cell): string {
  if (cell === null || cell === undefined || cell === "") return "-"
  return printable(String(cell)).replaceAll("\n", " ")
}
