import { afterEach, describe, it, vi } from "vitest"
import { Refusal } from "./problem.ts"
import { type StoreTarget, streamToStore } from "./stream-to-store.ts"

const CHUNK = 256 * 1024
const LIMITS = { storeTimeoutMs: 10_000, uploadTimeoutMs: 10_000 }

afterEach(() => {
  vi.unstubAllGlobals()
})

describe("streamToStore", () => {
  for (const length of [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7])
    for (const digests of ["sha256", "md5", "both", "none"] as const)
      it(`stores ${length} bytes unchanged, checked by ${digests}`, async ({ expect }) => {
        const content = bytes(length)
        const { etag, stored } = await send(content, await targetFor(content, digests))
        expect(etag).toBe('"etag"')
        expect(stored).toEqual(content)
      })

  it("sends the target's headers, and follows no redirect", async ({ expect }) => {
    const content = bytes(10)
    const { request } = await send(content, await targetFor(content, "sha256"))
    expect(request?.headers.get("x-ms-blob-type")).toBe("BlockBlob")
    expect(request?.method).toBe("PUT")
    expect(request?.redirect).toBe("manual")
  })
})

describe("streamToStore: wrong content", () => {
  for (const length of [1, CHUNK, CHUNK + 1, 2 * CHUNK])
    for (const digests of ["sha256", "md5", "both"] as const)
      it(`of ${length} bytes by ${digests} never reaches the store whole`, async ({ expect }) => {
        const content = bytes(length)
        const wrong = Uint8Array.from(content)
        wrong[0] = (wrong[0] ?? 0) ^ 128
        const { code, received, stored } = await send(wrong, await targetFor(content, digests))
        expect(code).toBe("upload.digest-mismatch")
        expect(stored).toBeNull()
        expect(received).toBeLessThan(length)
      })

  it("is wrong when one of two digests is", async ({ expect }) => {
    const content = bytes(1000)
    const target = await targetFor(content, "both")
    const others = [
      { ...target, sha256: "0".repeat(64) },
      { ...target, md5: "0".repeat(32) },
    ]
    for (const other of others)
      expect(await send(content, other)).toMatchObject({ code: "upload.digest-mismatch", stored: null })
  })

  for (const digests of ["sha256", "none"] as const) {
    it(`that ends early is no object, checked by ${digests}`, async ({ expect }) => {
      const content = bytes(CHUNK + 100)
      const { stored, code } = await send(content.slice(0, -1), await targetFor(content, digests))
      expect(stored).toBeNull()
      expect(code).toMatch(/^upload\./)
    })

    it(`that goes on for too long is no object, checked by ${digests}`, async ({ expect }) => {
      const content = bytes(1000)
      const { stored, code } = await send(bytes(1001), await targetFor(content, digests))
      expect(stored).toBeNull()
      expect(code).toMatch(/^upload\./)
    })
  }

  for (const length of [65_536, CHUNK, 2 * CHUNK])
    it(`that goes on after the ${length} bytes announced is no object, though these are right`, async ({ expect }) => {
      const longer = bytes(length + 1)
      const target = await targetFor(longer.slice(0, length), "sha256")
      expect(await send(watchedBody(longer).stream, target)).toMatchObject({
        code: "upload.length-mismatch",
        stored: null,
      })
    })
})

describe("streamToStore: a store that", () => {
  const answers: Record<string, [Response | null, string]> = {
    "answers 403": [new Response("x", { status: 403 }), "upload.store-refused"],
    "answers 307": [new Response(null, { status: 307, headers: { location: "/", etag: "e" } }), "upload.store-refused"],
    "answers 500": [new Response("x", { status: 500 }), "upload.store-failed"],
    "answers without ETag": [new Response("x"), "upload.store-failed"],
    "breaks the connection": [null, "upload.store-failed"],
  }
  for (const [name, [answer, expected]] of Object.entries(answers))
    for (const digests of ["sha256", "none"] as const)
      it(`${name} at once, is told apart, and the client's body is cancelled (${digests})`, async ({ expect }) => {
        const content = bytes(4 * CHUNK)
        const body = watchedBody(content)
        const outcome = await send(body.stream, await targetFor(content, digests), {
          store: async () =>
            answer?.clone() ?? Promise.reject(new Error("connect http://store.example/?signature=secret")),
        })
        expect(outcome.code).toBe(expected)
        expect(JSON.stringify(outcome.refusal?.options)).not.toContain("secret")
        await body.cancelled
      })

  it("does not answer is given up after the time for it", async ({ expect }) => {
    const content = bytes(10)
    const outcome = await send(content, await targetFor(content, "sha256"), {
      limits: { ...LIMITS, storeTimeoutMs: 1 },
      store: async (request) => {
        await request.arrayBuffer()
        return new Promise(() => undefined)
      },
    })
    expect(outcome.code).toBe("upload.store-timeout")
    expect(outcome.request?.signal.aborted).toBe(true)
  })

  it("does not answer has no longer than is left of the time for everything", async ({ expect }) => {
    const content = bytes(10)
    const outcome = await send(content, await targetFor(content, "sha256"), {
      limits: { storeTimeoutMs: 60_000, uploadTimeoutMs: 100 },
      store: async (request) => {
        await request.arrayBuffer()
        return new Promise(() => undefined)
      },
    })
    expect(outcome.code).toBe("upload.store-timeout")
  })
})

describe("streamToStore: a client that", () => {
  for (const digests of ["sha256", "none"] as const) {
    it(`goes away ends the store's request (${digests})`, async ({ expect }) => {
      const content = bytes(2 * CHUNK)
      const client = new AbortController()
      const outcome = await send(stalledBody(content.slice(0, CHUNK)), await targetFor(content, digests), {
        client: client.signal,
        onReceived: () => client.abort(),
      })
      expect(outcome).toMatchObject({ code: "upload.interrupted", stored: null })
      expect(outcome.request?.signal.aborted).toBe(true)
    })

    it(`sends too slowly ends the store's request (${digests})`, async ({ expect }) => {
      const content = bytes(2 * CHUNK)
      const outcome = await send(stalledBody(content.slice(0, CHUNK)), await targetFor(content, digests), {
        limits: { ...LIMITS, uploadTimeoutMs: 1 },
      })
      expect(outcome).toMatchObject({ code: "upload.too-slow", stored: null })
      expect(outcome.request?.signal.aborted).toBe(true)
    })
  }

  for (const digests of ["sha256", "none"] as const)
    it(`breaks off is not blamed on the store (${digests})`, async ({ expect }) => {
      const content = bytes(2 * CHUNK)
      const broken = () => Promise.reject(new TypeError("the connection was lost"))
      const body = watchedBody(content.slice(0, CHUNK), broken).stream
      expect(await send(body, await targetFor(content, digests))).toMatchObject({
        code: "upload.interrupted",
        stored: null,
      })
    })

  it("had gone before costs the store nothing", async ({ expect }) => {
    const content = bytes(10)
    const outcome = await send(content, await targetFor(content, "sha256"), { client: AbortSignal.abort() })
    expect(outcome).toMatchObject({ code: "upload.interrupted", stored: null, request: null })
  })
})

interface Circumstances {
  readonly limits?: typeof LIMITS
  readonly client?: AbortSignal
  readonly store?: (request: Request) => Promise<Response>
  readonly onReceived?: () => void
}

/** What the store has at the end: like a real one it keeps an object only when all bytes of its length came. */
async function send(
  body: Uint8Array | ReadableStream,
  target: StoreTarget,
  { limits = LIMITS, client = new AbortController().signal, store, onReceived }: Circumstances = {},
) {
  let stored: Uint8Array | null = null
  let received = 0
  let request: Request | null = null
  const keep = async (asked: Request) => {
    const pieces: Uint8Array[] = []
    for await (const piece of asked.body as ReadableStream<Uint8Array>) {
      pieces.push(Uint8Array.from(piece))
      received += piece.length
      onReceived?.()
    }
    stored = new Uint8Array(await new Blob(pieces).arrayBuffer())
    return new Response(null, { headers: { etag: '"etag"' } })
  }
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    request = new Request(url, init)
    return (store ?? keep)(request)
  })
  const stream = body instanceof Uint8Array ? bodyOf(body) : body
  const outcome = await streamToStore(stream, target, limits, client).then(
    (etag) => ({ etag, refusal: null }),
    (refusal) => ({ etag: null, refusal: refusal instanceof Refusal ? refusal : null }),
  )
  return {
    ...outcome,
    code: outcome.refusal?.code,
    stored: stored as Uint8Array | null,
    received,
    request: request as Request | null,
  }
}

/** A native byte stream, as a request's body is. */
function bodyOf(content: Uint8Array): ReadableStream {
  const { body } = new Response(content as unknown as BodyInit)
  if (body === null) throw new Error("There is no body")
  return body
}

/** Begins with these bytes, and then nothing comes. */
function stalledBody(begun: Uint8Array): ReadableStream {
  return watchedBody(begun, () => new Promise(() => undefined)).stream
}

/** A body of pieces, whose cancelling can be waited for. */
function watchedBody(content: Uint8Array, atEnd: () => Promise<void> = async () => undefined) {
  let at = 0
  const { promise: cancelled, resolve } = Promise.withResolvers<void>()
  const stream = new ReadableStream({
    type: "bytes",
    async pull(controller) {
      if (at === content.length) {
        await atEnd()
        return controller.close()
      }
      const piece = content.slice(at, at + 65_536)
      at += piece.length
      controller.enqueue(piece)
    },
    cancel: () => resolve(),
  })
  return { stream, cancelled }
}

function bytes(length: number): Uint8Array {
  const content = new Uint8Array(length)
  for (let at = 0; at < length; at += 65_536)
    crypto.getRandomValues(content.subarray(at, Math.min(at + 65_536, length)))
  return content
}

async function targetFor(content: Uint8Array, digests: "sha256" | "md5" | "both" | "none"): Promise<StoreTarget> {
  const hex = async (algorithm: string) => {
    const digest = await crypto.subtle.digest(algorithm, content as unknown as ArrayBuffer)
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
  }
  return {
    url: "https://store.example/key?signature=secret",
    headers: { "x-ms-blob-type": "BlockBlob" },
    contentLength: content.length,
    sha256: digests === "sha256" || digests === "both" ? await hex("SHA-256") : null,
    md5: digests === "md5" || digests === "both" ? await hex("MD5") : null,
  }
}
