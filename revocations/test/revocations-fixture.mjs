/**
 * Stands in for this Worker where others are tested: its entrypoint and its relay behind real bindings, speaking the real protocol.
 * Nothing was ever revoked here; `append` repeats what it was asked through `list`, so that a test sees what arrived.
 */
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers"

const appended = []

export class Revocations extends WorkerEntrypoint {
  append(revocations, actor) {
    for (const { target, beforeMs = null, reason } of revocations)
      appended.push({ seq: appended.length + 1, atMs: 0, target, beforeMs, keptUntilMs: 0, reason, actor })
    return { seq: appended.length, atMs: 0 }
  }

  list({ after = 0, limit = 100 } = {}) {
    return appended.filter((entry) => entry.seq > after).slice(0, limit)
  }

  status() {
    return { head: appended.length, live: appended.length, relays: 1, bytes: appended.length * 20 }
  }
}

export class RevocationRelay extends DurableObject {
  since(seq) {
    return { entries: new Uint8Array(), upTo: seq, head: seq, ageMs: 0 }
  }

  revokes() {
    return false
  }
}

// biome-ignore lint/style/noDefaultExport: the runtime finds the handlers of a Worker so
export default {
  fetch: () => new Response(null, { status: 404 }),
}
