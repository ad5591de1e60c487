/** Empties `out` and fills it from `source`; absolute paths. */
export function buildPages(source: string, out: string): Promise<void>
