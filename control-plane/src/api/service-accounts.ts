/**
 * Service accounts: what machines call with. They stand in the policy section `serviceAccounts`, which ops may also write as a whole; these operations change one of
 * them at a time, and make the keys, of which the section holds hashes only.
 */
import { base64url } from "jose"
import { listOf } from "../../../contracts/api.ts"
import {
  type ServiceAccount,
  serviceAccountKeyCreate,
  serviceAccountKeyCreated,
  serviceAccountPut,
  serviceAccountShape,
} from "../../../contracts/api-identity.ts"
import { policySections, type ServiceAccountConfig } from "../../../contracts/dispatch-config.ts"
import { serviceKeyEndsMs } from "../../../contracts/service-account.ts"
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import { change } from "../config/change.ts"
import { DEFAULT_POLICY } from "../config/default-policy.ts"
import type { Edit, Registry } from "../store/registry.ts"
import { checkConditions } from "./conditions.ts"
import { type AnyOperation, answerChange, answerThing, defineOperation } from "./operation.ts"
import { changeQuery, dryRunQuery, pageQuery, serviceAccountKeyParams, serviceAccountParams } from "./parameters.ts"

type Accounts = Readonly<Record<string, ServiceAccountConfig>>

const SECTION = "serviceAccounts"
const MOST_KEYS = 5
const account = { name: "ServiceAccount", shape: serviceAccountShape }
const ops = { who: "ops" } as const
const CHANGE_PROBLEMS = ["api.precondition-failed", "config.invalid", "config.not-published", "api.busy"] as const

const list = defineOperation({
  id: "service-accounts.list",
  method: "GET",
  path: "/v1/service-accounts",
  summary: "List service accounts, without their keys",
  access: ops,
  query: pageQuery,
  answers: {
    200: { description: "A page", shape: { name: "ServiceAccountList", shape: listOf(serviceAccountShape) } },
  },
  handle: async ({ query: { cursor = "", limit }, deps }) => {
    const accounts = parse(await deps.store.inventory.policy(SECTION))
    const names = Object.keys(accounts)
      .sort()
      .filter((name) => name > cursor)
    const page = names.slice(0, limit)
    const nextCursor = names.length > limit ? (page.at(-1) ?? null) : null
    return { status: 200, body: { items: page.map((name) => showIn(accounts, name)), nextCursor } }
  },
})

const get = defineOperation({
  id: "service-accounts.get",
  method: "GET",
  path: "/v1/service-accounts/{name}",
  summary: "Read a service account, without its keys",
  access: ops,
  params: serviceAccountParams,
  answers: { 200: { description: "The account", shape: account } },
  handle: async ({ params, deps }) =>
    answerThing(showIn(parse(await deps.store.inventory.policy(SECTION)), params.name) ?? absent()),
})

const put = defineOperation({
  id: "service-accounts.put",
  method: "PUT",
  path: "/v1/service-accounts/{name}",
  summary: "Make a service account, or say what it may; its keys stay as they are",
  access: ops,
  params: serviceAccountParams,
  query: dryRunQuery,
  body: serviceAccountPut,
  example: { scopes: ["projects:read"], company: "100", message: "nightly export" },
  answers: { 200: { description: "Changed", shape: account }, 201: { description: "Made", shape: account } },
  problems: CHANGE_PROBLEMS,
  handle: async ({ actor, params: { name }, query, body: { message, scopes, company }, request, deps }) => {
    const changed = await change(
      deps,
      actor,
      async (registry) => {
        const accounts = accountsOf(registry)
        const found = accounts[name]
        await checkConditions(request.headers, showIn(accounts, name))
        const next = { scopes, ...(company === null ? {} : { company }), keys: found?.keys ?? [] }
        return {
          edits: [replacing({ ...accounts, [name]: next })],
          audit: {
            action: "service-account.put",
            target: `service-accounts/${name}`,
            detail: { scopes, company, message },
          },
          result: { body: show(name, next), created: found === undefined },
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return answerChange(changed)
  },
})

const remove = defineOperation({
  id: "service-accounts.delete",
  method: "DELETE",
  path: "/v1/service-accounts/{name}",
  summary: "Remove a service account with all its keys",
  access: ops,
  params: serviceAccountParams,
  query: changeQuery,
  answers: { 204: { description: "Removed" } },
  problems: CHANGE_PROBLEMS,
  handle: async ({ actor, params: { name }, query, request, deps }) => {
    const { revision } = await change(
      deps,
      actor,
      async (registry) => {
        const accounts = accountsOf(registry)
        const { [name]: found, ...others } = accounts
        if (found === undefined) throw refuse("api.not-found")
        await checkConditions(request.headers, show(name, found))
        const keys = found.keys.map(({ id }) => id)
        return {
          edits: [replacing(others)],
          audit: {
            action: "service-account.delete",
            target: `service-accounts/${name}`,
            detail: { keys, message: query.message },
          },
          result: null,
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return { status: 204, configRevision: revision }
  },
})

const createKey = defineOperation({
  id: "service-account-keys.create",
  method: "POST",
  path: "/v1/service-accounts/{name}/keys",
  summary: "Make a key of a service account; the answer is the only place where it can be read",
  access: ops,
  params: serviceAccountParams,
  body: serviceAccountKeyCreate,
  example: { expiresInS: 31_536_000, message: "yearly" },
  answers: {
    201: { description: "The key", shape: { name: "ServiceAccountKeyCreated", shape: serviceAccountKeyCreated } },
  },
  problems: ["api.conflict", "config.invalid", "config.not-published", "api.busy"],
  handle: async ({ actor, params: { name }, body: { expiresInS, message }, deps }) => {
    const secret = base64url.encode(crypto.getRandomValues(new Uint8Array(32)))
    const key = `spsa_${name}_${secret}`
    const hash = await sha256Hex(key)
    const id = deps.ids.next("k")
    const expiresAt = new Date(deps.clock.now() + expiresInS * 1000).toISOString()
    const { revision } = await change(deps, actor, (registry) => {
      const accounts = accountsOf(registry)
      const found = accounts[name]
      if (found === undefined) throw refuse("api.not-found")
      const nowMs = deps.clock.now()
      const alive = found.keys.filter((each) => serviceKeyEndsMs(each) > nowMs)
      if (alive.length >= MOST_KEYS)
        throw refuse("api.conflict", { detail: `It has ${MOST_KEYS} keys; delete one that is no longer used first.` })
      const createdAt = new Date(nowMs).toISOString()
      const made = { id, hash, createdAt, expiresAt }
      return {
        edits: [replacing({ ...accounts, [name]: { ...found, keys: [...alive, made] } })],
        audit: {
          action: "service-account-key.create",
          target: `service-accounts/${name}`,
          detail: { key: id, expiresAt, message },
        },
        result: null,
      }
    })
    return { status: 201, body: { id, key, expiresAt }, configRevision: revision }
  },
})

const deleteKey = defineOperation({
  id: "service-account-keys.delete",
  method: "DELETE",
  path: "/v1/service-accounts/{name}/keys/{key}",
  summary: "Take a key of a service account away; the edge refuses it once it has the new config",
  access: ops,
  params: serviceAccountKeyParams,
  query: changeQuery,
  answers: { 204: { description: "Taken away" } },
  problems: ["config.not-published", "api.busy"],
  handle: async ({ actor, params: { name, key }, query, deps }) => {
    const { revision } = await change(
      deps,
      actor,
      (registry) => {
        const accounts = accountsOf(registry)
        const found = accounts[name]
        const keys = found?.keys.filter(({ id }) => id !== key)
        if (found === undefined || keys?.length === found.keys.length) throw refuse("api.not-found")
        return {
          edits: [replacing({ ...accounts, [name]: { ...found, keys: keys ?? [] } })],
          audit: {
            action: "service-account-key.delete",
            target: `service-accounts/${name}`,
            detail: { key, message: query.message },
          },
          result: null,
        }
      },
      { dryRun: query.dry_run === "true" },
    )
    return { status: 204, configRevision: revision }
  },
})

export const serviceAccountOperations: readonly AnyOperation[] = [list, get, put, remove, createKey, deleteKey]

function accountsOf({ policy }: Registry): Accounts {
  return parse(policy.get(SECTION)?.document)
}

/** Without a prototype: a name is looked up that comes from outside. */
function parse(document: unknown): Accounts {
  return Object.assign(Object.create(null), policySections[SECTION].parse(document ?? DEFAULT_POLICY[SECTION]))
}

function replacing(accounts: Accounts): Edit {
  return { table: "policy", put: { section: SECTION, document: { ...accounts } } }
}

function showIn(accounts: Accounts, name: string): ServiceAccount | null {
  const found = accounts[name]
  return found === undefined ? null : show(name, found)
}

/** A key ends when the edge refuses it, whatever ops wrote as its end. */
function show(name: string, { scopes, company, keys }: ServiceAccountConfig): ServiceAccount {
  return {
    name,
    scopes,
    company: company ?? null,
    keys: keys.map((key) => ({ id: key.id, expiresAt: new Date(serviceKeyEndsMs(key)).toISOString() })),
  }
}

function absent(): never {
  throw refuse("api.not-found")
}
