/** The policies that csp.ts makes, judged by Google's CSP Evaluator. */
import { CspEvaluator } from "csp_evaluator"
import { Severity } from "csp_evaluator/dist/finding.js"
import { CspParser } from "csp_evaluator/dist/parser.js"
import { describe, it } from "vitest"
import { type CspPolicy, cspHash, policyText } from "./csp.ts"

const HASH = await cspHash("1")
const CONTEXT = { nonce: "4Ck0h3rm1oX5w7tB9zQeRsUv", reportPath: "/csp-reports" }

function findingsOf(text: string) {
  return new CspEvaluator(new CspParser(text).csp).evaluate()
}

describe("the CSP Evaluator", () => {
  for (const [what, policy] of [
    ["files alone", { scripts: "self" }],
    ["hashes", { scripts: [HASH] }],
    ["a nonce", { scripts: "nonce" }],
    [
      "what an app may add",
      {
        scripts: "nonce",
        directives: {
          "connect-src": ["'self'", "wss://live.example.com"],
          "img-src": ["data:", "https://*.example.com"],
        },
      },
    ],
  ] as readonly (readonly [string, CspPolicy])[])
    it(`has nothing serious to say of a policy with ${what}`, ({ expect }) => {
      const serious = findingsOf(policyText(policy, CONTEXT)).filter(({ severity }) => severity <= Severity.HIGH_MAYBE)
      expect(serious).toEqual([])
    })

  it("has, of a policy that allows inline scripts", ({ expect }) => {
    const weak = policyText({ scripts: "self" }, CONTEXT).replace(
      "script-src 'self'",
      "script-src 'self' 'unsafe-inline'",
    )
    expect(findingsOf(weak).some(({ severity }) => severity === Severity.HIGH)).toBe(true)
  })
})
