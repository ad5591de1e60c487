/** The part of autocannon that is used; it brings no types of its own. */
declare module "autocannon" {
  interface Options {
    url: string
    /** Each connection goes round them. */
    requests: AutocannonRequest[]
    connections: number
    /** Seconds. */
    duration: number
    /** Called once for each connection, before it sends. */
    setupClient?: (client: Client) => void
  }
  interface AutocannonRequest {
    headers: Record<string, string>
  }
  interface Client {
    setRequests(requests: AutocannonRequest[]): void
  }
  interface Result {
    /** Connections that failed. */
    errors: number
    timeouts: number
    /** Seconds. */
    duration: number
  }
  interface Instance {
    on(
      event: "response",
      listener: (client: unknown, statusCode: number, bytes: number, responseTimeMs: number) => void,
    ): void
  }
  function autocannon(options: Options, done: (error: Error | null | undefined, result: Result) => void): Instance

  // biome-ignore lint/style/noDefaultExport: it is the package's own
  export { autocannon as default }
}
