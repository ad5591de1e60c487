/** What the check of bindings asks of the account, answered from the tables. */
import { SESSIONS_NAMESPACE_ID } from "../account-resources.ts"
import type { Dependencies } from "../dependencies.ts"
import { findNamespace, type NamespaceRow } from "../store/namespaces.ts"
import { findResource } from "../store/resources.ts"
import { findScript } from "../store/scripts.ts"
import type { AccountFacts } from "../upload/check-bindings.ts"

/** `own` is the namespace of the upload. */
export function accountFacts(own: NamespaceRow, { sql, platformWorkers }: Dependencies): AccountFacts {
  return {
    hasResource(kind, idOrName) {
      if (kind === "kv" && idOrName === SESSIONS_NAMESPACE_ID) return true
      const by = kind === "queue" || kind === "r2" ? "name" : "id"
      return findResource(sql, kind, by, idOrName) !== null
    },
    hasNamespace: (name) => findNamespace(sql, name) !== null,
    hasSibling: (script) => findScript(sql, own.id, script) !== null,
    isPlatformWorker: (name) => platformWorkers.includes(name),
    durableClassesOf(namespace, script) {
      const owner = findNamespace(sql, namespace)
      const found = owner === null ? null : findScript(sql, owner.id, script)
      return found?.durableClasses ?? null
    },
  }
}
