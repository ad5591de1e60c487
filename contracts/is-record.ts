/** Whether a value of unknown origin, such as JSON.parse's, is an object whose fields may be looked at: no array, not null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
