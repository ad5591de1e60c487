import { describe, expect, it } from "vitest"
import type { ManifestBinding } from "../../../contracts/manifest.ts"
import { Refusal } from "../../../kit/problem.ts"
import { screenMetadata } from "./screen-metadata.ts"

const KV = "0f2ac74b498b48028cb68387c421e279"
const base = { main_module: "index.js", compatibility_date: "2026-10-01" }

function screen(metadata: Record<string, unknown>, grants: readonly string[] = []) {
  return screenMetadata({ ...base, ...metadata }, { grants, today: "2026-11-21" })
}

function faults(metadata: Record<string, unknown>, grants: readonly string[] = []): string[] {
  return refused(metadata, grants).map((each) => each.pointer)
}

function details(metadata: Record<string, unknown>): string[] {
  return refused(metadata).map((each) => each.detail)
}

function refused(metadata: Record<string, unknown>, grants: readonly string[] = []) {
  try {
    screen(metadata, grants)
    return []
  } catch (failure) {
    if (!(failure instanceof Refusal)) throw failure
    expect(failure.code).toBe("upload.metadata-refused")
    return failure.options.errors ?? []
  }
}

describe("screenMetadata", () => {
  it("takes what wrangler sends for a plain Worker", () => {
    const declared = screen(
      {
        bindings: [
          { name: "N", type: "json", json: { a: 1 } },
          { name: "A", type: "plain_text", text: "x" },
          { name: "KV", type: "kv_namespace", namespace_id: KV },
          { name: "Q", type: "queue", queue_name: "jobs" },
          { name: "DB", type: "d1", id: "11111111-1111-1111-1111-111111111112" },
          { name: "AE", type: "analytics_engine" },
          { name: "META", type: "version_metadata" },
          { name: "ASSETS", type: "assets" },
          { name: "TOKEN", type: "secret_text", text: "s" },
        ],
        compatibility_flags: ["nodejs_compat", "nodejs_compat"],
        code_update_strategy: { mode: "deferred", max_delay: 300 },
        keep_bindings: ["secret_text", "secret_key"],
        package_dependencies: { packages: [] },
        usage_model: "standard",
        placement: { mode: "smart" },
        limits: { cpu_ms: 100 },
        annotations: { "workers/message": "hello", "workers/tag": "t1" },
        assets: { jwt: "a.b.c", config: { html_handling: "none", _headers: "/*\n  x: y" } },
        observability: { enabled: true, head_sampling_rate: 1 },
        tail_consumers: [],
        cache_options: { enabled: false },
        logpush: false,
      },
      [
        `resource:kv_namespace:${KV}`,
        "resource:queue:jobs",
        "resource:d1:11111111-1111-1111-1111-111111111112",
        "resource:analytics_engine:AE",
      ],
    )
    expect(declared.bindings.map((each) => each.name)).toEqual([
      "A",
      "AE",
      "ASSETS",
      "DB",
      "KV",
      "META",
      "N",
      "Q",
      "TOKEN",
    ])
    expect(declared.bindings[1]).toEqual({ name: "AE", type: "analytics_engine", dataset: "AE" })
    expect(declared.bindings[3]).toEqual({
      name: "DB",
      type: "d1",
      database_id: "11111111-1111-1111-1111-111111111112",
    })
    expect(declared.compatibilityFlags).toEqual(["nodejs_compat"])
    expect(declared.settings).toEqual({
      observability: { enabled: true, head_sampling_rate: 1 },
      placement: { mode: "smart" },
      limits: { cpu_ms: 100 },
    })
    expect(declared.assets?.token).toBe("a.b.c")
    expect([declared.message, declared.tag]).toEqual(["hello", "t1"])
  })

  it("refuses every key that is on no list, pointing at it", () => {
    expect(faults({ capnp: "x", "a/b~c": 1, body: null })).toEqual(["/capnp", "/a~1b~0c", "/body"])
  })

  it.each([
    ["tail_consumers", [{ service: "spy" }]],
    ["streaming_tail_consumers", [{ service: "spy" }]],
    ["cache_options", { enabled: true }],
    ["keep_assets", true],
    ["logpush", true],
    ["tags", ["team-other"]],
    ["containers", [{ class_name: "C" }]],
    ["migrations", { new_tag: "v1", steps: [{ new_sqlite_classes: ["C"] }] }],
    ["exports", { C: { type: "durable-object" } }],
    ["body_part", "script"],
  ])("refuses %s unless it asks for nothing", (key, value) => {
    expect(faults({ [key]: value })).toEqual([`/${key}`])
    expect(faults({ [key]: null })).toEqual([])
  })

  it("refuses observability that sends elsewhere, and placement near a chosen host", () => {
    expect(faults({ observability: { enabled: true, logs: { enabled: true, destinations: ["d"] } } })).toEqual([
      "/observability/logs/destinations",
    ])
    expect(faults({ placement: { mode: "smart", host: "db.example.com:5432" } })).toEqual(["/placement/host"])
  })

  it("says of both why, in the words of what the team wrote", () => {
    // What wrangler makes of `[placement] region = "aws:us-east-1"`.
    const placed = details({ placement: { mode: "targeted", region: "aws:us-east-1" } })
    expect(placed).toHaveLength(2)
    for (const each of placed) expect(each).toContain("teams may not choose where a Worker runs")
    expect(details({ placement: { mode: "fast" } })[0]).toContain('expected one of "smart"|"off"')
    for (const signal of ["logs", "traces"])
      expect(details({ observability: { enabled: true, [signal]: { enabled: true, destinations: ["d"] } } })).toEqual([
        "a script's logs and traces are collected by the operators and sent nowhere else",
      ])
    expect(details({ observability: { enabled: true, traces: { propagation_policy: "x" } } })).toEqual([
      "is not accepted",
    ])
  })

  it("refuses limits beyond the platform's", () => {
    expect(faults({ limits: { cpu_ms: 30_001 } })).toEqual(["/limits/cpu_ms"])
    expect(faults({ limits: { cpu_ms: 30_000, subrequests: 10_000 } })).toEqual([])
    expect(faults({ limits: { memory_mb: 1 } })).toEqual(["/limits/memory_mb"])
  })

  it.each([
    ...["experimental", "ignore_custom_ports", "unsafe_module", "foo_experimental", "A", "x y"],
    ...["global_fetch_private_origin", "allow_eval_during_startup", "nodejs_compat_v3", "invented_tomorrow"],
  ])("refuses the flag %s", (flag) => {
    expect(faults({ compatibility_flags: [flag] })).toEqual(["/compatibility_flags/0"])
  })

  it("takes the flags of Node's interfaces and of standard behaviour", () => {
    const flags = ["nodejs_compat", "nodejs_als", "no_nodejs_compat_v2", "enable_request_signal"]
    expect(faults({ compatibility_flags: flags })).toEqual([])
    const later = ["global_fetch_strictly_public", "enable_nodejs_process_v2", "enable_nodejs_fs_module"]
    expect(faults({ compatibility_flags: later })).toEqual([])
  })

  it("needs a compatibility date that is one and has come", () => {
    expect(faults({ compatibility_date: undefined })).toEqual(["/compatibility_date"])
    expect(faults({ compatibility_date: "2026-02-30" })).toEqual(["/compatibility_date"])
    expect(faults({ compatibility_date: "2026-11-22" })).toEqual(["/compatibility_date"])
    expect(faults({ compatibility_date: "2026-11-21" })).toEqual([])
  })

  it("cuts a message that is longer than one may be instead of refusing the upload", () => {
    expect(screen({ annotations: { "workers/message": "x".repeat(2000) } }).message).toHaveLength(500)
  })
})

describe("screenMetadata, bindings kept", () => {
  const sealed = (name: string) => ({ type: "secret_text", name, sealed: "x" })
  const facts = { grants: [], today: "2026-11-21" }
  const keep = (kinds: readonly string[], bindings: readonly object[], earlier: readonly ManifestBinding[]) =>
    screenMetadata({ ...base, keep_bindings: kinds, bindings }, { ...facts, earlier }).bindings

  it("stand among the declared ones by name, of the kinds that are named and no other", () => {
    const earlier = [
      sealed("B"),
      { type: "kv_namespace", name: "KV", namespace_id: KV },
      { type: "plain_text", name: "V", text: "v" },
    ]
    const declared = [
      { type: "plain_text", name: "C", text: "" },
      { type: "plain_text", name: "A", text: "" },
    ]
    const names = (kinds: readonly string[]) => keep(kinds, declared, earlier).map((each) => each.name)
    expect(names(["secret_text", "secret_key"])).toEqual(["A", "B", "C"])
    expect(names(["plain_text", "json"])).toEqual(["A", "C", "V"])
    expect(names([])).toEqual(["A", "C"])
    expect(keep(["secret_text"], declared, earlier)[1]).toEqual(sealed("B"))
  })

  it("are at most as many as a version may have", () => {
    const earlier = Array.from({ length: 256 }, (_, index) => sealed(`S${index}`))
    const one = [{ type: "plain_text", name: "S0", text: "" }]
    expect(keep(["secret_text"], one, earlier)).toHaveLength(256)
    expect(() => keep(["secret_text"], [{ ...one[0], name: "X" }], earlier)).toThrow("upload.metadata-refused")
  })

  it("are asked for by a list of kinds", () => {
    for (const kinds of ["secret_text", {}, [1], ["kv_namespace"]])
      expect(faults({ keep_bindings: kinds })[0]).toMatch(/^\/keep_bindings/)
    expect(faults({ keep_bindings: null })).toEqual([])
  })

  it("cannot be sent as they are stored", () => {
    expect(faults({ bindings: [{ type: "secret_text", name: "T", sealed: "x" }] }).sort()).toEqual([
      "/bindings/0/sealed",
      "/bindings/0/text",
    ])
  })
})

describe("screenMetadata, bindings", () => {
  const one = (binding: unknown, grants: readonly string[] = []) => faults({ bindings: [binding] }, grants)

  it("refuses the reserved name, doubled names and names that are no identifiers", () => {
    expect(one({ type: "plain_text", name: "PLATFORM", text: "" })).toEqual(["/bindings/0/name"])
    expect(one({ type: "plain_text", name: "PLATFORMS", text: "" })).toEqual([])
    expect(one({ type: "plain_text", name: "a-b", text: "" })).toEqual(["/bindings/0/name"])
    const twice = [
      { type: "plain_text", name: "A", text: "" },
      { type: "json", name: "A", json: 1 },
    ]
    expect(faults({ bindings: twice })).toEqual(["/bindings/1/name"])
  })

  it("refuses a resource unless the team holds the grant for exactly that one", () => {
    const binding = { type: "kv_namespace", name: "KV", namespace_id: KV }
    expect(one(binding)).toEqual(["/bindings/0/namespace_id"])
    expect(one(binding, [`resource:kv_namespace:${KV}`])).toEqual([])
    expect(one(binding, [`resource:r2_bucket:${KV}`, "resource:kv_namespace:other"])).toEqual([
      "/bindings/0/namespace_id",
    ])
    expect(one({ type: "analytics_engine", name: "AE" })).toEqual(["/bindings/0/dataset"])
  })

  it("refuses a database that is named twice, differently", () => {
    const grants = ["resource:d1:a", "resource:d1:b"]
    expect(one({ type: "d1", name: "DB", id: "a", database_id: "b" }, grants)).toEqual(["/bindings/0"])
    expect(one({ type: "d1", name: "DB" }, grants)).toEqual(["/bindings/0"])
  })

  it.each([
    { type: "service", name: "S", service: "sallyport-control-plane" },
    {
      type: "service",
      name: "PLATFORM",
      service: "sallyport-dispatcher",
      entrypoint: "Platform",
      props: { team: "other" },
    },
    { type: "dispatch_namespace", name: "D", namespace: "production" },
    { type: "worker_loader", name: "L" },
    { type: "inherit", name: "TOKEN" },
    { type: "durable_object_namespace", name: "O", class_name: "C" },
    {
      type: "durable_object_namespace",
      name: "O",
      class_name: "C",
      script_name: "other",
      dispatch_namespace: "production",
    },
    { type: "mtls_certificate", name: "M", certificate_id: "x" },
    { type: "vpc_service", name: "V", service_id: "x" },
    { type: "toString", name: "T" },
    { type: "__proto__", name: "T" },
    { type: ["plain_text"], name: "T", text: "" },
    { name: "T" },
    null,
    "plain_text",
  ])("refuses %j", (binding) => {
    expect(one(binding)).toEqual(["/bindings/0/type"])
  })

  it("refuses fields that nobody listed", () => {
    const grants = [`resource:kv_namespace:${KV}`]
    expect(one({ type: "kv_namespace", name: "KV", namespace_id: KV, raw: true }, grants)).toEqual(["/bindings/0/raw"])
    expect(one({ type: "json", name: "J", json: {}, props: {} })).toEqual(["/bindings/0/props"])
  })

  it("refuses what is no list", () => {
    expect(faults({ bindings: {} })).toEqual(["/bindings"])
    expect(faults({ bindings: "x" })).toEqual(["/bindings"])
  })
})
