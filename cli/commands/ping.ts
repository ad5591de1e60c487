import type { Command } from "commander"
import { whoamiShape } from "../../contracts/api.ts"
import { apiOf, type CommonOptions, commandOf } from "../command.ts"
import type { Io } from "../io.ts"
import { printFields, printJson } from "../print.ts"
import { revisionAt } from "../wait-for-revision.ts"

export function ping(io: Io): Command {
  return commandOf("ping", "check that control plane and edge answer", "ping").action(
    async (options: CommonOptions) => {
      const api = apiOf(io)
      const { edgeUrl, url } = api.connection
      const control = await timed(io, () => api.get("/v1/whoami", whoamiShape))
      const edge = edgeUrl === undefined ? null : await timed(io, () => revisionAt(edgeUrl, io))
      if (options.json)
        printJson(io, {
          controlPlane: { url, ms: control.ms },
          edge: edge === null ? null : { url: edgeUrl, ms: edge.ms, configRevision: edge.value },
        })
      else
        printFields(io, {
          "control plane": `${url} answers in ${control.ms} ms`,
          edge:
            edge === null
              ? "unknown; store it with `sallyport login <url> --edge <url>`"
              : `${edgeUrl} answers in ${edge.ms} ms, config revision ${edge.value ?? "none"}`,
        })
    },
  )
}

async function timed<T>(io: Io, work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const started = io.clock.now()
  const value = await work()
  return { value, ms: Math.round(io.clock.now() - started) }
}
