import { dispatchConfigSchema } from "../../../contracts/dispatch-config.ts"
import { refuse } from "../../../kit/problem.ts"
import { documentKey } from "../config/publish.ts"
import { defineOperation } from "./operation.ts"
import { revisionParams } from "./parameters.ts"

export const configRevisionsDocument = defineOperation({
  id: "config-revisions.document",
  method: "GET",
  path: "/v1/config/revisions/{revision}/document",
  summary: "Read the exact document of a config revision; its ETag is its SHA-256",
  access: { who: "ops" },
  params: revisionParams,
  answers: {
    200: {
      description: "The document, byte for byte as published",
      shape: { name: "DispatchConfig", shape: dispatchConfigSchema },
    },
  },
  handle: async ({ params, deps }) => {
    const revision = await deps.store.revisions.get(params.revision)
    const copy = revision === null ? null : await deps.artifacts.get(documentKey(revision.revision))
    if (revision === null || copy === null) throw refuse("api.not-found")
    const headers = { "content-type": "application/json", "cache-control": "no-store", etag: `"${revision.digest}"` }
    return new Response(copy.body, { headers })
  },
})
