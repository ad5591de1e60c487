/** `node docs/verify/node/verify-lines.ts`: does what it is told line by line, as docs/verify/README.md says, so that a test can have it do several things at once. */
import { createInterface } from "node:readline"
import { passportVerifier } from "./verify-passport.ts"

let [wallS, monotonicS] = [0, 0]
const clocks = { now: () => wallS * 1000, monotonicMs: () => monotonicS * 1000 }
let verify = passportVerifier({ issuer: "", audience: "", keySetUrl: "" })

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const [word, ...values] = line.split(" ")
    if (word === "verifier") {
      const [issuer = "", audience = "", keySetUrl = ""] = values
      verify = passportVerifier({ issuer, audience, keySetUrl, ...clocks })
    } else if (word === "clocks") {
      ;[wallS = 0, monotonicS = 0] = values.map(Number)
    } else {
      const [name, ...passports] = values
      const verdict = await verify(passports.length > 1 ? passports : passports[0])
      process.stdout.write(`${name} ${verdict.ok ? "accepted" : verdict.reason}\n`)
    }
  })
  .on("close", () => process.exit())
