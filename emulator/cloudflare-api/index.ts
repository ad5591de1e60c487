/**
 * The local Cloudflare API: the subset that wrangler, the `cloudflare` SDK and the control plane use, for one account on this machine.
 * Everything happens in the one Account object, so that each operation sees and changes the account alone.
 */
import type { Env } from "./env.ts"

export { Account } from "./account.ts"
export { Database } from "./database.ts"
export { Resources } from "./resources-entrypoint.ts"
export { ScriptStore } from "./script-store.ts"

export default {
  fetch(request, env) {
    return env.ACCOUNT.getByName("account").fetch(request)
  },
} satisfies ExportedHandler<Env>
