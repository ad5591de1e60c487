/** What a query or a form says, read in one way. */
import { boundedText } from "../../kit/bounded-text.ts"
import { refuse } from "../../kit/problem.ts"

const MAX_FORM_BYTES = 4_096

/** Null when absent. Said twice it means nothing, and is refused. */
export function one(values: URLSearchParams, name: string): string | null {
  const all = values.getAll(name)
  if (all.length > 1) throw refuse("login.request-invalid")
  return all[0] ?? null
}

/** A whole number from 0 to `most`, in its one spelling; null when absent. */
export function whole(query: URLSearchParams, name: string, most: number): number | null {
  const text = one(query, name)
  if (text === null) return null
  if (!/^(0|[1-9][0-9]{0,8})$/.test(text) || Number(text) > most) throw refuse("login.request-invalid")
  return Number(text)
}

export async function formOf(request: Request): Promise<URLSearchParams> {
  const text = await boundedText(request, MAX_FORM_BYTES).catch(() => null)
  if (text === null) throw refuse("login.request-invalid")
  return new URLSearchParams(text)
}
