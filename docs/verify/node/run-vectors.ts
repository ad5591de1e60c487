/** `node docs/verify/node/run-vectors.ts docs/verify/vectors.json`: tries the verifier against every vector; ends with 1 when one comes out otherwise. */
import { readFileSync } from "node:fs"
import { passportVerifier } from "./verify-passport.ts"

interface Vectors {
  readonly issuer: string
  readonly audience: string
  readonly keySets: Readonly<Record<string, object>>
  readonly vectors: readonly {
    readonly name: string
    readonly token: string
    readonly keySet: string
    readonly now: number
    readonly valid: boolean
    readonly reason?: string
  }[]
}

const { issuer, audience, keySets, vectors } = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Vectors
let wrong = 0
for (const { name, token, keySet, now, valid, reason = "" } of vectors) {
  const readKeySet = async () => JSON.stringify(keySets[keySet])
  const verify = passportVerifier({ issuer, audience, keySetUrl: "", readKeySet, now: () => now * 1000 })
  const verdict = await verify(token)
  const said = verdict.ok ? "" : verdict.reason
  if (verdict.ok === valid && said === reason) continue
  wrong++
  process.stderr.write(`${name}: ${verdict.ok ? "accepted" : said}, should be ${valid ? "accepted" : reason}\n`)
}
process.stdout.write(`node: ${vectors.length - wrong} of ${vectors.length} vectors as they should be\n`)
process.exitCode = wrong === 0 ? 0 : 1
