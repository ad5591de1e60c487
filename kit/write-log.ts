/**
 * The one log sink: a record becomes one line of JSON, which Workers Logs and Logpush take apart again.
 * JSON escapes line breaks, so no field can forge a second line.
 */

/** Writes `record`, an object with a stable `event`. It must hold no credential, passport, query string or tenant's text. */
export function writeLog(record: { readonly event: string }): void {
  // biome-ignore lint/suspicious/noConsole: this is the sink that everything else is to use
  console.log(JSON.stringify(record))
}
