import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import type { LocalEnv } from "./local-isolate.ts"
import { answerOf, dispatch, namespace, uploaded } from "./testing/test-namespace.ts"
import { reads, remove, upload } from "./testing/test-store.ts"
import { NEWEST_COMPATIBILITY_DATE } from "./worker-code.ts"

const HELLO = `export default { fetch: () => new Response("hello") }`

describe("get", () => {
  it("never throws for a missing script: fetch rejects", async () => {
    const worker = namespace.get("nobody")
    await expect(worker.fetch("http://api.procore.com/")).rejects.toThrow(new Error("Worker not found."))
  })

  it("may be awaited, before and after the script was read", async () => {
    const name = await uploaded(HELLO)
    for (let round = 0; round < 2; round++) {
      const worker = await namespace.get(name)
      expect(await (await worker.fetch("http://api.procore.com/")).text()).toBe("hello")
    }
  })

  it("finds a script that was missing when it is uploaded", async () => {
    await expect(dispatch("late-comer")).rejects.toThrow("Worker not found.")
    await upload("late-comer", { code: HELLO })
    expect(await (await dispatch("late-comer")).text()).toBe("hello")
  })

  it("accepts limits, which this machine does not enforce", async () => {
    const limits = { cpuMs: 1, subRequests: 1 }
    expect((await dispatch(await uploaded(HELLO), undefined, { limits })).status).toBe(200)
  })
})

describe("what is remembered", () => {
  it("reads a script once, however many first requests come together", async () => {
    const name = await uploaded(HELLO)
    await Promise.all(Array.from({ length: 20 }, () => dispatch(name)))
    await dispatch(name)
    expect(reads.filter((each) => each === `production/${name}`)).toHaveLength(1)
  })

  it("shows new code to the first request after forget, and not before", async () => {
    const name = await uploaded(`export default { fetch: () => new Response("one") }`)
    expect(await (await dispatch(name)).text()).toBe("one")
    await upload(name, { code: `export default { fetch: () => new Response("two") }` })
    expect(await (await dispatch(name)).text()).toBe("one")
    namespace.forget(name)
    expect(await (await dispatch(name)).text()).toBe("two")
  })

  it("does not let a read that began before a change bring the old code back", async () => {
    const name = await uploaded(`export default { fetch: () => new Response("one") }`)
    const early = dispatch(name)
    await upload(name, { code: `export default { fetch: () => new Response("two") }` })
    namespace.forget(name)
    await early
    expect(await (await dispatch(name)).text()).toBe("two")
  })

  it("loses a script that was deleted", async () => {
    const name = await uploaded(HELLO)
    await dispatch(name)
    remove(name)
    namespace.forget(name)
    await expect(dispatch(name)).rejects.toThrow("Worker not found.")
  })

  it("keeps the module scope of one version, and gives another version its own", async () => {
    const count = `let n = 0; export default { fetch: () => new Response(String(++n)) }`
    const name = await uploaded(count)
    expect(await (await dispatch(name)).text()).toBe("1")
    expect(await (await dispatch(name)).text()).toBe("2")
    await upload(name, { code: count })
    namespace.forget(name)
    expect(await (await dispatch(name)).text()).toBe("1")
  })
})

describe("a user Worker's failures", () => {
  it.each([
    ["an Error", `throw new Error("secret text")`, Error, "secret text"],
    ["a TypeError", `throw new TypeError("secret text")`, TypeError, "secret text"],
    ["text", `throw "secret text"`, Error, "secret text"],
    ["the platform's own text", `throw new Error("Worker not found.")`, Error, "Worker not found."],
    ["42 as the answer", "return 42", TypeError, "did not resolve to 'Response'"],
    ["Response.error()", "return Response.error()", TypeError, "must not be an error response"],
  ])("rejects with %s", async (_what, body, kind, message) => {
    const failing = dispatch(await uploaded(`export default { async fetch() { ${body} } }`))
    await expect(failing).rejects.toBeInstanceOf(kind)
    await expect(failing).rejects.toThrow(message)
  })

  it.each([
    ["a syntax error", "export default {", "Unexpected end of input"],
    ["a throw at start-up", `throw new Error("at start")`, "at start"],
    ["a missing module", `import "./gone.js"; export default {}`, "gone.js"],
    ["no fetch handler", "export default { queue() {} }", "Handler does not export a fetch() function."],
  ])("rejects for %s", async (_what, code, message) => {
    await expect(dispatch(await uploaded(code))).rejects.toThrow(message)
  })

  it("leaves the next request and other scripts untouched", async () => {
    const failing = await uploaded(`export default { fetch() { throw new Error("no") } }`)
    const other = await uploaded(HELLO)
    await expect(dispatch(failing)).rejects.toThrow("no")
    expect(await (await dispatch(other)).text()).toBe("hello")
    await expect(dispatch(failing)).rejects.toThrow("no")
  })
})

describe("what a user Worker sees", () => {
  it("has no request.cf, nor has a copy of the request", async () => {
    const code = `export default { fetch: (r) => Response.json([r.cf ?? null, new Request(r).cf ?? null]) }`
    const request = new Request("http://api.procore.com/", { cf: { country: "GB" } as CfProperties })
    expect(JSON.parse(await answerOf(code, request))).toEqual([null, null])
  })

  it("has no request.cf under a compatibility date of 2021", async () => {
    const code = `export default { fetch: (r) => new Response(String(r.cf)) }`
    const request = new Request("http://api.procore.com/", { cf: { country: "GB" } as CfProperties })
    const metadata = { compatibility_date: "2021-11-02" }
    expect(await answerOf({ code, metadata }, request)).toBe("undefined")
  })

  it("cannot use caches.default", async () => {
    const code = `export default { async fetch(r) {
      try { await caches.default.match(r); return new Response("usable") } catch (e) { return new Response("refused") }
    } }`
    expect(await answerOf(code)).toBe("refused")
  })

  it("has named caches of its own, which another script does not share", async () => {
    const code = `export default { async fetch(r) {
      const cache = await caches.open("mine"), key = "https://cache.example/thing"
      const before = await cache.match(key)
      await cache.put(key, new Response("kept", { headers: { "cache-control": "max-age=60", "x-a": "1" } }))
      const after = await cache.match(key)
      return Response.json([before ? await before.text() : null, await after.text(), after.headers.get("x-a"), await cache.delete(key), (await cache.match(key)) ?? null])
    } }`
    expect(JSON.parse(await answerOf(code))).toEqual([null, "kept", "1", true, null])
    const leave = `export default { async fetch() { const c = await caches.open("mine"); await c.put("https://cache.example/left", new Response("x", { headers: { "cache-control": "max-age=60" } })); return new Response("left") } }`
    expect(await answerOf(leave)).toBe("left")
    const look = `export default { async fetch() { return new Response(String(await (await caches.open("mine")).match("https://cache.example/left"))) } }`
    expect(await answerOf(look)).toBe("undefined")
  })

  it("keeps globals to itself: another script sees nothing of them", async () => {
    await answerOf(
      `export default { fetch() { globalThis.leak = "x"; Object.prototype.leak = "y"; return new Response("") } }`,
    )
    expect(
      await answerOf(`export default { fetch: () => new Response(String(globalThis.leak) + String({}.leak)) }`),
    ).toBe("undefinedundefined")
  })
})

describe("bodies and connections", () => {
  it("streams a request's body and the answer's", async () => {
    const code = `export default { fetch: (r) => new Response(r.body.pipeThrough(new TextDecoderStream()).pipeThrough(
      new TransformStream({ transform: (t, c) => c.enqueue(t.toUpperCase()) })).pipeThrough(new TextEncoderStream())) }`
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const request = new Request("http://api.procore.com/", { method: "POST", body: readable })
    const answering = dispatch(await uploaded(code), request)
    const writer = writable.getWriter()
    await writer.write(new TextEncoder().encode("one "))
    const reader = (await answering).body?.pipeThrough(new TextDecoderStream()).getReader()
    expect(await reader?.read()).toEqual({ done: false, value: "ONE " })
    await writer.write(new TextEncoder().encode("two"))
    expect(await reader?.read()).toEqual({ done: false, value: "TWO" })
    await writer.close()
    expect((await reader?.read())?.done).toBe(true)
  })

  it("carries a WebSocket", async () => {
    const code = `export default { fetch() {
      const [client, server] = Object.values(new WebSocketPair()); server.accept()
      server.addEventListener("message", (e) => server.send("echo " + e.data))
      return new Response(null, { status: 101, webSocket: client })
    } }`
    const name = await uploaded(code)
    for (let round = 0; round < 2; round++) {
      const request = new Request("http://api.procore.com/", { headers: { upgrade: "websocket" } })
      const { status, webSocket } = await dispatch(name, request)
      expect(status).toBe(101)
      expect(await echoOf(webSocket, "hi")).toBe("echo hi")
    }
  })

  it("aborts a request that the caller gives up, and tells the user Worker", async () => {
    const code = `let aborted = false; export default { async fetch(r) {
      if (r.url.endsWith("/asked")) return new Response(String(aborted))
      r.signal.addEventListener("abort", () => { aborted = true })
      await new Promise(() => setTimeout(() => {}, 60_000))
    } }`
    const name = await uploaded({ code, metadata: { compatibility_flags: ["enable_request_signal"] } })
    const caller = new AbortController()
    const request = new Request("http://api.procore.com/", { signal: caller.signal })
    const hanging = dispatch(name, request)
    await dispatch(name, "http://api.procore.com/asked")
    caller.abort(new Error("given up"))
    await expect(hanging).rejects.toThrow("given up")
    expect(await (await dispatch(name, "http://api.procore.com/asked")).text()).toBe("true")
  })

  it("lets waitUntil work go on after the answer", async () => {
    const code = `let done = "no"; export default { fetch(r, env, ctx) {
      if (r.url.endsWith("/asked")) return new Response(done)
      let finish; ctx.waitUntil(new Promise((ok) => { finish = ok }).then(() => { done = "yes" })); setTimeout(() => finish(), 1)
      return new Response("answered")
    } }`
    const name = await uploaded(code)
    expect(await (await dispatch(name)).text()).toBe("answered")
    await expect.poll(async () => (await dispatch(name, "http://api.procore.com/asked")).text()).toBe("yes")
  })

  it("answers RPC of the default entrypoint, before and after the script was read", async () => {
    const code = `import { WorkerEntrypoint } from "cloudflare:workers"
      export default class extends WorkerEntrypoint { add(a, b) { return a + b } props() { return this.ctx.props } }`
    const name = await uploaded(code)
    for (let round = 0; round < 2; round++) {
      const worker = namespace.get(name) as unknown as { add(a: number, b: number): Promise<number>; props(): unknown }
      expect(await worker.add(2, 3)).toBe(5)
      expect(await worker.props()).toEqual({})
    }
  })
})

describe("forms of code", () => {
  it("runs a service worker as the classic script that it is, with its bindings as globals", async () => {
    const body = `undeclared = "sloppy"; addEventListener("fetch", (e) => e.respondWith(new Response(undeclared + GREETING + e.request.cf)))`
    const name = await uploaded({
      code: null,
      modules: [{ name: "worker.js", type: "application/javascript", body }],
      bindings: [{ type: "plain_text", name: "GREETING", text: " hello " }],
      metadata: { body_part: "worker.js", compatibility_date: "2022-01-01" },
    })
    expect(await (await dispatch(name)).text()).toBe("sloppy hello undefined")
  })

  it("loads modules of every kind under the names that wrangler gives them, and no source map", async () => {
    const code = `import text from "./0a1b-note.txt"; import bytes from "./0a1b-data.bin"; import wasm from "./0a1b-empty.wasm"
      import { deep } from "./lib/deep.mjs"; import settings from "./settings.json"; import common from "./common.cjs"
      export default { fetch: () => Response.json([text, bytes.byteLength, wasm instanceof WebAssembly.Module, deep, common.kind, settings]) }`
    const esm = "application/javascript+module"
    const modules = [
      { name: "./0a1b-note.txt", type: "text/plain", body: "note" },
      { name: "./0a1b-data.bin", type: "application/octet-stream", body: new Uint8Array([1, 2, 3]) },
      { name: "./0a1b-empty.wasm", type: "application/wasm", body: new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]) },
      { name: "lib/deep.mjs", type: esm, body: `import note from "../0a1b-note.txt"; export const deep = note + "!"` },
      { name: "common.cjs", type: "application/javascript", body: `exports.kind = "cjs"` },
      { name: "settings.json", type: "application/json", body: `{"a":1}` },
      { name: "index.js.map", type: "application/source-map", body: "{}" },
    ]
    expect(JSON.parse(await answerOf({ code, modules }))).toEqual(["note", 3, true, "note!", "cjs", { a: 1 }])
  })

  it("knows the newest compatibility date that this runtime takes", async () => {
    const { LOADER } = env as unknown as LocalEnv
    const load = (compatibilityDate: string) => {
      const modules = { "index.js": HELLO }
      const code = { compatibilityDate, mainModule: "index.js", modules, globalOutbound: null }
      return LOADER.get(null, () => code)
        .getEntrypoint()
        .fetch("http://api.procore.com/")
    }
    const nextDay = new Date(Date.parse(NEWEST_COMPATIBILITY_DATE) + 86_400_000).toISOString().slice(0, 10)
    expect((await load(NEWEST_COMPATIBILITY_DATE)).status).toBe(200)
    await expect(load(nextDay)).rejects.toThrow("newest date supported")
  })

  it("takes a compatibility date that is newer than the runtime", async () => {
    expect(await answerOf({ code: HELLO, metadata: { compatibility_date: "2099-01-01" } })).toBe("hello")
  })
})

function echoOf(socket: WebSocket | null, text: string): Promise<unknown> {
  return new Promise((resolve) => {
    socket?.addEventListener("message", (event) => resolve(event.data))
    socket?.accept()
    socket?.send(text)
  })
}
