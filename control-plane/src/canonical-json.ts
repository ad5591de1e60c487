/**
 * One text per value, whatever order its keys were written in, so that equal documents have equal digests (RFC 8785, for the values that JSON.parse gives).
 * Written by hand because an object rebuilt in sorted order would still list number-like keys, such as company ids, first.
 */

/** JSON with keys sorted by UTF-16 code unit and without white space. Members that are undefined are left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null"
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`)
  return `{${members.join(",")}}`
}
