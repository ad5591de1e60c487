/** The local dispatcher is production's with the namespace exchanged: its wrangler.toml differs in nothing else. */

import path from "node:path"
import { expect, it } from "vitest"
import { unstable_readConfig as readConfig } from "wrangler"
import { ROOT } from "../build.ts"

const read = (file: string) => readConfig({ config: path.join(ROOT, file) })
const production = read("wrangler.toml")
const local = read("emulator/namespace/wrangler.toml")

it("runs under production's name, date and flags", () => {
  const identity = ({ name, compatibility_date, compatibility_flags }: typeof local) => ({
    name,
    compatibility_date,
    compatibility_flags,
  })
  expect(identity(local)).toEqual(identity(production))
})

it("has production's bindings, and those that make the namespace", () => {
  expect(Object.keys(local.vars).toSorted()).toEqual([...Object.keys(production.vars), "NAMESPACE_NAME"].toSorted())
  expect(namesOf(local.kv_namespaces)).toEqual(namesOf(production.kv_namespaces))
  expect(ratelimitsOf(local)).toEqual(ratelimitsOf(production))
  expect(local.dispatch_namespaces).toEqual([])
  expect(namesOf(local.worker_loaders ?? [])).toEqual(["LOADER"])
  expect(namesOf(local.services ?? [])).toEqual(["ACCOUNT", "RESOURCES", ...namesOf(production.services ?? [])])
  expect(objectsOf(local).filter((name) => name !== "OBJECTS")).toEqual(objectsOf(production))
})

it("is measured under production's date, flags, keep_names, relays and rate limits", () => {
  const measured = read("benchmarks/dispatch/full.wrangler.toml")
  const conditions = (config: typeof local) => ({
    date: config.compatibility_date,
    flags: config.compatibility_flags,
    keepNames: config.keep_names,
    objects: objectsOf(config),
  })
  expect(conditions(measured)).toEqual(conditions(production))
  expect(ratelimitsOf(measured)).toEqual(ratelimitsOf(production))
})

function namesOf(bindings: readonly { readonly binding: string }[]): string[] {
  return bindings.map((each) => each.binding)
}

function objectsOf({ durable_objects }: typeof local): string[] {
  return durable_objects.bindings.map((each: { readonly name: string }) => each.name)
}

/** Not their values: one machine's own load is no abuse. */
function ratelimitsOf({ ratelimits }: { readonly ratelimits: readonly { readonly name: string }[] }): string[] {
  return ratelimits.map((each) => each.name)
}
