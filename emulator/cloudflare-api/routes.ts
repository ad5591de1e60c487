/** Every path that the local Cloudflare API answers. The first match wins; what is not here is answered 7003. */
import type { RouteEntry } from "./match-route.ts"
import { oneAtATime } from "./one-at-a-time.ts"
import * as account from "./operations/account.ts"
import * as assets from "./operations/assets.ts"
import * as content from "./operations/content.ts"
import * as d1 from "./operations/d1.ts"
import * as kv from "./operations/kv.ts"
import * as namespaces from "./operations/namespaces.ts"
import { putScript } from "./operations/put-script.ts"
import * as queues from "./operations/queues.ts"
import * as r2 from "./operations/r2.ts"
import * as scripts from "./operations/scripts.ts"
import * as secrets from "./operations/secrets.ts"
import * as settings from "./operations/settings.ts"
import * as tags from "./operations/tags.ts"

const A = "/accounts/:account"
const NS = `${A}/workers/dispatch/namespaces`
const SCRIPTS = `${NS}/:namespace/scripts`
const SCRIPT = `${SCRIPTS}/:script`
const KV = `${A}/storage/kv/namespaces`

export const ROUTES: readonly RouteEntry[] = [
  { method: "GET", path: NS, operation: namespaces.listAll },
  { method: "POST", path: NS, operation: namespaces.create },
  { method: "GET", path: `${NS}/:namespace`, operation: namespaces.read },
  { method: "PUT", path: `${NS}/:namespace`, operation: oneAtATime(namespaces.replace) },
  { method: "PATCH", path: `${NS}/:namespace`, operation: oneAtATime(namespaces.edit) },
  { method: "DELETE", path: `${NS}/:namespace`, operation: oneAtATime(namespaces.remove) },

  { method: "GET", path: SCRIPTS, operation: scripts.list },
  { method: "DELETE", path: SCRIPTS, operation: oneAtATime(scripts.removeByTag) },
  { method: "PUT", path: SCRIPT, operation: oneAtATime(putScript) },
  { method: "GET", path: SCRIPT, operation: scripts.read },
  { method: "DELETE", path: SCRIPT, operation: oneAtATime(scripts.remove) },
  { method: "GET", path: `${SCRIPT}/content`, operation: content.read },
  { method: "PUT", path: `${SCRIPT}/content`, operation: oneAtATime(content.replace) },
  { method: "GET", path: `${SCRIPT}/settings`, operation: settings.read },
  { method: "PATCH", path: `${SCRIPT}/settings`, operation: oneAtATime(settings.edit) },
  { method: "GET", path: `${SCRIPT}/bindings`, operation: settings.readBindings },
  { method: "GET", path: `${SCRIPT}/secrets`, operation: secrets.list },
  { method: "PUT", path: `${SCRIPT}/secrets`, operation: oneAtATime(secrets.put) },
  { method: "PATCH", path: `${SCRIPT}/secrets-bulk`, operation: oneAtATime(secrets.patchMany) },
  { method: "GET", path: `${SCRIPT}/secrets/:secret`, operation: secrets.read },
  { method: "DELETE", path: `${SCRIPT}/secrets/:secret`, operation: oneAtATime(secrets.remove) },
  { method: "GET", path: `${SCRIPT}/tags`, operation: tags.list },
  { method: "PUT", path: `${SCRIPT}/tags`, operation: oneAtATime(tags.replace) },
  { method: "PUT", path: `${SCRIPT}/tags/:tag`, operation: oneAtATime(tags.add) },
  { method: "DELETE", path: `${SCRIPT}/tags/:tag`, operation: oneAtATime(tags.remove) },
  { method: "POST", path: `${SCRIPT}/assets-upload-session`, operation: assets.openSession },
  // These two carry the session's own token, not the account's.
  { method: "POST", path: `${A}/workers/assets/upload`, operation: assets.uploadMany, auth: "none" },
  { method: "POST", path: `${A}/workers/assets/upload/:hash`, operation: assets.uploadOne, auth: "none" },

  { method: "GET", path: `${A}/workers/scripts/:script/settings`, operation: account.platformSettings },
  { method: "*", path: `${A}/workers/scripts/:script`, operation: account.scriptMissing },
  { method: "*", path: `${A}/workers/scripts/:script/*rest`, operation: account.scriptMissing },
  { method: "*", path: `${A}/workers/services/:service`, operation: account.service },
  { method: "GET", path: `${A}/workflows/:workflow`, operation: account.workflowMissing },
  { method: "GET", path: "/accounts", operation: account.listAccounts },
  { method: "GET", path: A, operation: account.readAccount },
  { method: "GET", path: "/memberships", operation: account.listMemberships },
  { method: "GET", path: "/user", operation: account.readUser },
  { method: "GET", path: "/user/tokens/verify", operation: account.verifyToken },
  { method: "GET", path: `${A}/tokens/verify`, operation: account.verifyToken },

  { method: "GET", path: KV, operation: kv.listAll },
  { method: "POST", path: KV, operation: kv.create },
  { method: "GET", path: `${KV}/:kv`, operation: kv.read },
  { method: "PUT", path: `${KV}/:kv`, operation: kv.rename },
  { method: "DELETE", path: `${KV}/:kv`, operation: kv.remove },
  { method: "GET", path: `${KV}/:kv/keys`, operation: kv.listKeys },
  { method: "GET", path: `${KV}/:kv/values/*key`, operation: kv.readValue },
  { method: "PUT", path: `${KV}/:kv/values/*key`, operation: kv.writeValue },
  { method: "DELETE", path: `${KV}/:kv/values/*key`, operation: kv.removeValue },
  { method: "GET", path: `${KV}/:kv/metadata/*key`, operation: kv.readMetadata },

  { method: "GET", path: `${A}/r2/buckets`, operation: r2.listAll },
  { method: "POST", path: `${A}/r2/buckets`, operation: r2.create },
  { method: "GET", path: `${A}/r2/buckets/:bucket`, operation: r2.read },
  { method: "DELETE", path: `${A}/r2/buckets/:bucket`, operation: r2.remove },
  { method: "GET", path: `${A}/r2/buckets/:bucket/objects/*key`, operation: r2.readObject },
  { method: "PUT", path: `${A}/r2/buckets/:bucket/objects/*key`, operation: r2.writeObject },
  { method: "DELETE", path: `${A}/r2/buckets/:bucket/objects/*key`, operation: r2.removeObject },

  { method: "GET", path: `${A}/d1/database`, operation: d1.listAll },
  { method: "POST", path: `${A}/d1/database`, operation: d1.create },
  { method: "GET", path: `${A}/d1/database/:database`, operation: d1.read },
  { method: "DELETE", path: `${A}/d1/database/:database`, operation: d1.remove },
  { method: "POST", path: `${A}/d1/database/:database/query`, operation: d1.query },
  { method: "POST", path: `${A}/d1/database/:database/raw`, operation: d1.raw },

  { method: "GET", path: `${A}/queues`, operation: queues.listAll },
  { method: "POST", path: `${A}/queues`, operation: queues.create },
  { method: "GET", path: `${A}/queues/:queue`, operation: queues.read },
  { method: "DELETE", path: `${A}/queues/:queue`, operation: queues.remove },
  { method: "POST", path: `${A}/queues/:queue/messages`, operation: queues.sendMessage },
  { method: "POST", path: `${A}/queues/:queue/messages/pull`, operation: queues.pullMessages },
  { method: "POST", path: `${A}/queues/:queue/messages/ack`, operation: queues.acknowledgeMessages },
]
