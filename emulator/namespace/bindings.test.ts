import { describe, expect, it } from "vitest"
import { answerOf, dispatch, namespace, uploaded } from "./testing/test-namespace.ts"
import { asked, sent } from "./testing/test-resources.ts"
import { upload } from "./testing/test-store.ts"

/** A Worker whose answer is what `body` returns, as JSON. */
const returning = (
  body: string,
) => `export default { async fetch(request, env, ctx) { return Response.json(await run(request, env, ctx)) } }
  async function run(request, env, ctx) { ${body} }`

async function result(body: string, bindings: { type: string; name: string; [field: string]: unknown }[]) {
  return JSON.parse(await answerOf({ code: returning(body), bindings }))
}

describe("plain bindings", () => {
  it("gives text, JSON, secrets and the version as they were uploaded", async () => {
    const bindings = [
      { type: "plain_text", name: "TEXT", text: "t" },
      { type: "secret_text", name: "SECRET", text: "s" },
      { type: "json", name: "JSON_", json: { a: [1] } },
      { type: "version_metadata", name: "VERSION" },
    ]
    const seen = await result("return [env.TEXT, env.SECRET, env.JSON_, typeof env.VERSION.id]", bindings)
    expect(seen).toEqual(["t", "s", { a: [1] }, "string"])
  })

  it("shows nothing else in env: no door of ours, at module scope neither", async () => {
    const code = `import { env as scope } from "cloudflare:workers"
      const early = Object.keys(scope)
      export default { fetch: (r, env) => Response.json([early, Object.keys(env)]) }`
    const bindings = [{ type: "plain_text", name: "TEXT", text: "t" }]
    expect(JSON.parse(await answerOf({ code, bindings }))).toEqual([["TEXT"], ["TEXT"]])
  })

  it("lets a Worker run that carries a binding which is not available, and says so when it is used", async () => {
    const bindings = [{ type: "vectorize", name: "INDEX", index_name: "i" }]
    const body = `try { return await env.INDEX.query([1]) } catch (e) { return e.message }`
    expect(await result(body, bindings)).toBe("Bindings of type vectorize are not available in the local namespace.")
  })
})

describe("the platform binding", () => {
  const bindings = [
    {
      type: "service",
      name: "PLATFORM",
      service: "sallyport-dispatcher",
      entrypoint: "Platform",
      props: { script: "files" },
    },
  ]

  it("carries its props, which user code cannot choose", async () => {
    expect(await result("return [await env.PLATFORM.whoami(), Object.keys(ctx.props)]", bindings)).toEqual([
      "files",
      [],
    ])
  })

  it("takes requests", async () => {
    expect(await result("return (await env.PLATFORM.fetch('http://x.example/path')).text()", bindings)).toBe(
      "files asks for /path",
    )
  })

  it.each([
    ["a Worker that is not the platform's", { service: "somebody-else" }],
    ["an entrypoint that is not for user Workers", { service: "sallyport-dispatcher", entrypoint: "NamespaceMemory" }],
    ["a property of every object", { service: "constructor" }],
  ])("does not lead to %s", async (_what, target) => {
    const name = await uploaded({
      code: "export default {}",
      bindings: [{ type: "service", name: "OTHER", ...target }],
    })
    await expect(dispatch(name)).rejects.toThrow("was not found")
  })
})

describe("kv_namespace", () => {
  const bindings = [{ type: "kv_namespace", name: "KV", namespace_id: "kv1" }]

  it("puts, gets in every type, lists and deletes", async () => {
    const body = `await env.KV.put("a", JSON.stringify({ n: 1 }), { metadata: { by: "alice" } })
      const stream = await env.KV.get("a", "stream")
      return [await env.KV.get("a"), await env.KV.get("a", "json"), (await env.KV.get("a", { type: "arrayBuffer" })).byteLength,
        await new Response(stream).text(), (await env.KV.getWithMetadata("a")).metadata, await env.KV.get("none"),
        [...await env.KV.get(["a", "none"])], (await env.KV.list({ prefix: "a" })).keys, await env.KV.delete("a") ?? null, await env.KV.get("a")]`
    const text = `{"n":1}`
    expect(await result(body, bindings)).toEqual([
      text,
      { n: 1 },
      7,
      text,
      { by: "alice" },
      null,
      [
        ["a", text],
        ["none", null],
      ],
      [{ name: "a" }],
      null,
      null,
    ])
  })

  it("is in this.env of a class and in the module's env too", async () => {
    const code = `import { WorkerEntrypoint, env as scope } from "cloudflare:workers"
      export default class extends WorkerEntrypoint { async fetch() {
        await scope.KV.put("where", "everywhere"); return new Response(await this.env.KV.get("where")) } }`
    expect(await answerOf({ code, bindings })).toBe("everywhere")
  })

  it("reaches its own namespace and no other", async () => {
    await result(`return (await env.KV.put("secret", "of kv1")) ?? null`, bindings)
    const other = [{ type: "kv_namespace", name: "KV", namespace_id: "kv2" }]
    expect(await result(`return env.KV.get("secret")`, other)).toBeNull()
  })
})

describe("r2_bucket", () => {
  it("gives objects with their metadata, methods and body", async () => {
    const bindings = [{ type: "r2_bucket", name: "BUCKET", bucket_name: "plans" }]
    const body = `const put = await env.BUCKET.put("a.txt", new Blob(["text"]).stream(), { httpMetadata: { contentType: "text/plain" }, customMetadata: { by: "alice" } })
      const object = await env.BUCKET.get("a.txt"), headers = new Headers()
      object.writeHttpMetadata(headers)
      return [put.size, await object.text(), object.bodyUsed, Object.fromEntries(headers), object.customMetadata, object.httpEtag,
        (await env.BUCKET.head("a.txt")).key, await env.BUCKET.get("none"), (await env.BUCKET.list()).objects.length, await env.BUCKET.delete("a.txt") ?? null, await env.BUCKET.head("a.txt")]`
    expect(await result(body, bindings)).toEqual([
      4,
      "text",
      true,
      { "content-type": "text/plain" },
      { by: "alice" },
      `"e"`,
      "a.txt",
      null,
      1,
      null,
      null,
    ])
  })
})

describe("d1", () => {
  const bindings = [{ type: "d1", name: "DB", id: "db1" }]

  it("prepares, binds and reads rows in each of D1's forms", async () => {
    const body = `const s = env.DB.prepare("SELECT ? AS a, ? AS b").bind("x", true)
      return [(await s.all()).results, (await s.run()).success, await s.first(), await s.first("b"), await s.raw(), await s.raw({ columnNames: true }),
        (await env.DB.batch([s, env.DB.prepare("SELECT 1")])).length, (await env.DB.exec("SELECT 1;")).count]`
    const row = { a: "x", b: 1 }
    expect(await result(body, bindings)).toEqual([
      [row],
      true,
      row,
      1,
      [["x", 1]],
      [
        ["a", "b"],
        ["x", 1],
      ],
      2,
      1,
    ])
    expect(asked.get("db1")?.[0]).toEqual({ sql: "SELECT ? AS a, ? AS b", params: ["x", 1] })
  })

  it("fails with D1's words", async () => {
    const body = `try { await env.DB.prepare("SELECT * FROM nowhere").all() } catch (e) { return e.message }`
    expect(await result(body, bindings)).toBe("D1_ERROR: no such table: nowhere: SQLITE_ERROR")
    const badValue = `try { env.DB.prepare("SELECT ?").bind(undefined) } catch (e) { return e.message }`
    expect(await result(badValue, bindings)).toContain("D1_TYPE_ERROR")
  })
})

describe("queue", () => {
  it("sends in the content types that can be sent", async () => {
    const bindings = [{ type: "queue", name: "QUEUE", queue_name: "jobs" }]
    const body = `await env.QUEUE.send({ a: 1 }); await env.QUEUE.send("t", { contentType: "text", delaySeconds: 5 })
      await env.QUEUE.sendBatch([{ body: new Uint8Array([1, 2]), contentType: "bytes" }]); return null`
    await result(body, bindings)
    expect(sent.get("jobs")).toEqual([
      { body: `{"a":1}`, contentType: "json" },
      { body: "t", contentType: "text", delaySeconds: 5 },
      { body: "AQI=", contentType: "bytes" },
    ])
  })
})

describe("ratelimit", () => {
  it("counts per key", async () => {
    const bindings = [{ type: "ratelimit", name: "BRAKE", namespace_id: "77", simple: { limit: 2, period: 60 } }]
    const body = `const take = async (key) => (await env.BRAKE.limit({ key })).success
      return [await take("a"), await take("a"), await take("a"), await take("b")]`
    // Four counts may straddle a window's end; three more tries cannot all.
    await expect.poll(() => result(body, bindings)).toEqual([false, false, false, false])
  })
})

describe("durable_object_namespace", () => {
  const counter = (step: number) => `import { DurableObject } from "cloudflare:workers"
    export class Counter extends DurableObject {
      async add(n) { const value = (await this.ctx.storage.get("n") ?? 0) + n * ${step}; await this.ctx.storage.put("n", value); return value }
      rows() { this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS t (a)"); this.ctx.storage.sql.exec("INSERT INTO t VALUES (1)")
        return this.ctx.storage.sql.exec("SELECT count(*) AS n FROM t").one().n }
      who() { return [this.ctx.id.toString(), this.env.TEXT] }
      fail() { throw new Error("in the object") }
      fetch(request) {
        if (request.headers.get("upgrade") !== "websocket") return Response.json([request.url, request.headers.get("x-sallyport-object")])
        const [client, server] = Object.values(new WebSocketPair()); server.accept()
        server.addEventListener("message", (e) => server.send("object " + e.data))
        return new Response(null, { status: 101, webSocket: client })
      }
    }
    export default { async fetch(request, env) {
      const url = new URL(request.url), stub = env.OBJECTS.getByName(url.searchParams.get("name") ?? "one")
      if (url.pathname === "/ws" || url.pathname === "/fetch") return stub.fetch(request)
      try { return Response.json(await eval_(url.pathname.slice(1), stub, env)) } catch (e) { return Response.json(e.message) }
    } }
    const eval_ = (what, stub, env) => what === "add" ? stub.add(5) : what === "rows" ? stub.rows() : what === "who" ? stub.who() : what === "fail" ? stub.fail()
      : [env.OBJECTS.idFromName("a").toString(), env.OBJECTS.idFromString("0".repeat(64)).toString(), env.OBJECTS.idFromName("a").equals(env.OBJECTS.idFromName("a")), env.OBJECTS.newUniqueId().equals(env.OBJECTS.newUniqueId())]`
  const bindings = [
    { type: "durable_object_namespace", name: "OBJECTS", class_name: "Counter" },
    { type: "plain_text", name: "TEXT", text: "t" },
  ]
  const ask = async (name: string, path: string) => (await dispatch(name, `http://api.procore.com${path}`)).json()

  it("calls methods and keeps what the object stores, in SQLite too", async () => {
    const name = await uploaded({ code: counter(1), bindings })
    expect([await ask(name, "/add"), await ask(name, "/add")]).toEqual([5, 10])
    expect([await ask(name, "/rows"), await ask(name, "/rows")]).toEqual([1, 2])
  })

  it("keeps objects apart by name and by script", async () => {
    const [one, other] = [
      await uploaded({ code: counter(1), bindings }),
      await uploaded({ code: counter(1), bindings }),
    ]
    expect([await ask(one, "/add?name=a"), await ask(one, "/add?name=b"), await ask(other, "/add?name=a")]).toEqual([
      5, 5, 5,
    ])
  })

  it("runs new code on the old data after an upload", async () => {
    const name = await uploaded({ code: counter(1), bindings })
    expect(await ask(name, "/add")).toBe(5)
    await upload(name, { code: counter(100), bindings })
    namespace.forget(name)
    expect(await ask(name, "/add")).toBe(505)
  })

  it("takes requests and WebSockets, and shows the object nothing of the way", async () => {
    const name = await uploaded({ code: counter(1), bindings })
    expect(await ask(name, "/fetch")).toEqual(["http://api.procore.com/fetch", null])
    const request = new Request("http://api.procore.com/ws", { headers: { upgrade: "websocket" } })
    const { status, webSocket } = await dispatch(name, request)
    expect(status).toBe(101)
    const answer = new Promise((resolve) => webSocket?.addEventListener("message", (event) => resolve(event.data)))
    webSocket?.accept()
    webSocket?.send("hi")
    expect(await answer).toBe("object hi")
  })

  it("lets an object's WebSockets hibernate", async () => {
    const code = `import { DurableObject } from "cloudflare:workers"
      export class Chat extends DurableObject {
        fetch() { const [client, server] = Object.values(new WebSocketPair()); this.ctx.acceptWebSocket(server, ["tag"])
          return new Response(null, { status: 101, webSocket: client }) }
        webSocketMessage(socket, text) { socket.send(text + " of " + this.ctx.getWebSockets("tag").length) }
      }
      export default { fetch: (request, env) => env.CHAT.getByName("room").fetch(request) }`
    const chat = { type: "durable_object_namespace", name: "CHAT", class_name: "Chat" }
    const request = new Request("http://api.procore.com/", { headers: { upgrade: "websocket" } })
    const { webSocket } = await dispatch(await uploaded({ code, bindings: [chat] }), request)
    const answer = new Promise((resolve) => webSocket?.addEventListener("message", (event) => resolve(event.data)))
    webSocket?.accept()
    webSocket?.send("hi")
    expect(await answer).toBe("hi of 1")
  })

  it("has ids as production's, its own env, and errors of its own", async () => {
    const name = await uploaded({ code: counter(1), bindings })
    const [id, zeros, same, different] = (await ask(name, "/ids")) as [string, string, boolean, boolean]
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    expect([zeros, same, different]).toEqual(["0".repeat(64), true, false])
    expect(await ask(name, "/who?name=a")).toEqual([id, "t"])
    expect(await ask(name, "/fail")).toBe("in the object")
  })
})
