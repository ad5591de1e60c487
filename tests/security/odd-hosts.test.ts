/** Hosts that are none, as bytes on the wire: each is refused as a problem, and nothing of the URL reaches the platform's log. */
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { expect, it } from "vitest"
import { usePlatform } from "../harness.ts"

const HOSTS = [
  "a@app.example.com",
  "a b",
  "a%zz",
  "[::1",
  "a<b",
  "a_b..c",
  "xn--",
  "%00",
  "a|b",
  "a\u0001b",
  "127.0.0.1",
  "api.procore.com.",
]
const platform = usePlatform()

function sendRaw(host: string): Promise<string> {
  const { hostname, port } = new URL(platform().edgeUrl)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write(`GET /x?sig=canary-signature HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
    )
    let answer = ""
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1")
    })
    socket.on("close", () => resolve(answer))
    socket.on("error", reject)
  })
}

it.each(HOSTS)("refuses the host %j", async (host) => {
  const answer = await sendRaw(host)
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer).toContain('"code":"edge.hostname-invalid"')
})

it("records each refusal, and nothing of what was asked for, there or in what the Workers wrote", async () => {
  const trips = await platform().trips()
  const refused = trips.filter(({ problem }) => problem === "edge.hostname-invalid")
  expect(refused).toHaveLength(HOSTS.length)
  expect(JSON.stringify(trips) + readFileSync(platform().logFile, "utf8")).not.toContain("canary-signature")
})
