// biome-ignore-all lint/performance/noBarrelFile: the runtime finds a Worker's classes by the exports of its main file
/** The revocations Worker: one log, a relay per location, and the entrypoint by which the dispatcher and the control plane append. It answers no request from outside. */
export { Revocations } from "./entrypoint.ts"
export { RevocationLog } from "./log.ts"
export { RevocationRelay } from "./relay.ts"

export default {
  fetch: () => new Response(null, { status: 404 }),
} satisfies ExportedHandler
