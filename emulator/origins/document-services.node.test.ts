import { generateKeyPairSync, sign } from "node:crypto"
import { createServer, request } from "node:http"
import { afterAll, beforeAll, describe, it } from "vitest"
import { listen, type RunningServer } from "../listen.ts"
import { startLegacyService } from "./legacy-service.ts"
import { startNewService } from "./new-service.ts"

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
const ISSUER = "https://edge.example"
let edge: RunningServer

beforeAll(async () => {
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: "jwk" }), kid: "a", alg: "ES256" }] })
  edge = await listen(
    createServer((_request, response) => void response.end(jwks)),
    0,
  )
})
afterAll(() => edge.stop())

function passportFor(aud: string): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const iat = Math.floor(Date.now() / 1000)
  const claims = { iss: ISSUER, aud, sub: "alice", iat, nbf: iat, exp: iat + 60 }
  const signed = `${encode({ alg: "ES256", typ: "passport+jwt", kid: "a" })}.${encode(claims)}`
  const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const
  return `${signed}.${sign("sha256", Buffer.from(signed), key).toString("base64url")}`
}

/** The target as it stands, which fetch would make a URL of. */
function statusOf(url: string, path: string, passport?: string): Promise<number> {
  const headers = passport === undefined ? {} : { "x-passport": passport }
  return new Promise((resolve, reject) => {
    const asking = request(new URL(url), { path, headers, timeout: 2_000 }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asking.once("timeout", () => asking.destroy(new Error("no answer")))
    asking.once("error", reject)
    asking.end()
  })
}

for (const [audience, start] of [
  ["ecrion:legacy", startLegacyService],
  ["ecrion:new", startNewService],
] as const)
  describe(`the example service for ${audience}`, () => {
    it("answers whatever target a client sends, and goes on", async ({ expect }) => {
      const service = await start({ issuer: ISSUER, edgeUrl: edge.url, hostname: "edge.example", port: 0 })
      try {
        const passport = passportFor(audience)
        for (const path of ["//", "///", "//[", "//documents/1", "/%"])
          expect([path, await statusOf(service.url, path, passport)]).toEqual([path, 404])
        expect(await statusOf(service.url, "/documents/1?a=//", passport)).toBe(200)
        expect(await statusOf(service.url, "/documents/1", passportFor("cell:us01"))).toBe(401)
        expect(await statusOf(service.url, "/documents/1")).toBe(401)
      } finally {
        await service.close()
      }
    })
  })
