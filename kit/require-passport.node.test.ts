/** Tokens and keys that no one here wrote: none of them is a passport, whatever is wrong or right with them. */
import { describe, it } from "vitest"
import { readCorpus } from "../tests/security/corpora.ts"
import { Refusal } from "./problem.ts"
import { passportRequirement } from "./require-passport.ts"

interface Group {
  readonly public?: JsonWebKey & { readonly keys?: readonly JsonWebKey[] }
  readonly private?: JsonWebKey & { readonly keys?: readonly JsonWebKey[] }
  readonly tests: readonly { readonly tcId: number; readonly comment: string; readonly jws: unknown }[]
}

const files = ["wycheproof-json_web_signature_test.json", "wycheproof-json_web_key_test.json"]

for (const file of files) {
  const text = readCorpus(file)
  describe.skipIf(text === null)(file, () => {
    it("accepts none of its tokens", async ({ expect }) => {
      const { testGroups } = JSON.parse(text ?? "") as { testGroups: readonly Group[] }
      const accepted: number[] = []
      let tried = 0
      for (const group of testGroups) {
        const given = group.public ?? group.private
        const keys = (given?.keys ?? (given === undefined ? [] : [given])).map(asPublished)
        for (const { tcId, jws } of group.tests) {
          tried++
          const outcome = await outcomeOf(typeof jws === "string" ? jws : JSON.stringify(jws), keys)
          if (outcome !== "platform.passport-required") accepted.push(tcId)
        }
      }
      expect(accepted).toEqual([])
      expect(tried).toBeGreaterThan(0)
    })
  })
}

/** As generous as can be: every key gets the `kid` that tokens may ask for, so that only the token itself can be at fault. */
function asPublished(key: JsonWebKey): JsonWebKey {
  const { d: _private, ...rest } = key
  return "kid" in rest ? rest : ({ ...rest, kid: "none" } as JsonWebKey)
}

async function outcomeOf(token: string, keys: readonly JsonWebKey[]): Promise<string> {
  const requirePassport = passportRequirement({ script: "gateway" })
  try {
    const headers = new Headers({ "x-passport": token })
    await requirePassport(new Request("https://api.procore.com/", { headers }) as never, {
      keys: async () => ({ keys }),
    })
    return "accepted"
  } catch (thrown) {
    // A header value that cannot be sent at all never arrives.
    if (thrown instanceof TypeError && /header/i.test(thrown.message)) return "platform.passport-required"
    return thrown instanceof Refusal ? thrown.code : `threw ${String(thrown)}`
  }
}
