/** What the example identity provider remembers, in memory: its sessions, grants and codes, each until its time is over. One per provider, whose key rotations it outlives. */

interface Entry {
  readonly payload: Payload
  readonly endsAtMs: number
}

/** Of oidc-provider's models. */
export interface Payload {
  readonly uid?: string
  readonly grantId?: string
  readonly consumed?: unknown
}

/** @see https://github.com/panva/node-oidc-provider/blob/main/example/my_adapter.js */
export interface OidcAdapter {
  upsert(id: string, payload: Payload, expiresInS?: number): Promise<void>
  find(id: string): Promise<Payload | undefined>
  findByUid(uid: string): Promise<Payload | undefined>
  findByUserCode(): Promise<undefined>
  consume(id: string): Promise<void>
  destroy(id: string): Promise<void>
  revokeByGrantId(grantId: string): Promise<void>
}

/** The adapter of a model, by its name. */
export function oidcStore(): (model: string) => OidcAdapter {
  const models = new Map<string, Map<string, Entry>>()
  return (model) => {
    const entries = models.get(model) ?? new Map<string, Entry>()
    models.set(model, entries)
    const alive = () => {
      for (const [id, { endsAtMs }] of entries) if (endsAtMs <= Date.now()) entries.delete(id)
      return entries
    }
    return {
      async upsert(id, payload, expiresInS) {
        const endsAtMs = expiresInS === undefined ? Number.POSITIVE_INFINITY : Date.now() + expiresInS * 1000
        alive().set(id, { payload, endsAtMs })
      },
      find: async (id) => alive().get(id)?.payload,
      findByUid: async (uid) => [...alive().values()].find(({ payload }) => payload.uid === uid)?.payload,
      findByUserCode: async () => undefined,
      async consume(id) {
        const entry = entries.get(id)
        const consumed = Math.floor(Date.now() / 1000)
        if (entry !== undefined) entries.set(id, { ...entry, payload: { ...entry.payload, consumed } })
      },
      async destroy(id) {
        entries.delete(id)
      },
      async revokeByGrantId(grantId) {
        for (const [id, { payload }] of entries) if (payload.grantId === grantId) entries.delete(id)
      },
    }
  }
}
