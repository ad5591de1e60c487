import { describe, expect, it } from "vitest"
import type { Refusal } from "../../../kit/problem.ts"
import { authorize, type Conditions } from "./authorize.ts"
import { ANONYMOUS, makeSubject, type Subject } from "./subject.ts"

const NOW_MS = 1_800_000_000_000
const clock = { now: () => NOW_MS }
const ago = (seconds: number) => NOW_MS - seconds * 1000

/** Alice by token, by session, a service; what they have is laid over. */
function who(changes: Partial<Subject> = {}): Subject {
  return makeSubject({ ...ANONYMOUS, kind: "user", id: "alice", idp: "example-idp", ...changes })
}
const session = (changes: Partial<Subject> = {}) =>
  who({ sid: "handle", level: 1, authTimeMs: ago(100), scopes: ["read"], ...changes })
const service = who({ kind: "service", id: "robot" })

function codeOf(subject: Subject, conditions: Partial<Conditions> | undefined): string {
  try {
    authorize(subject, conditions === undefined ? undefined : { scopes: [], ...conditions }, clock)
    return "passes"
  } catch (thrown) {
    return (thrown as { code?: string }).code ?? String(thrown)
  }
}

const REQUIRED = "auth.credential-required"
const NOT_ALLOWED = "auth.not-allowed"
const STEP_UP = "auth.step-up-required"

it.each<[string, Subject, Partial<Conditions> | undefined, string]>([
  ["anonymous, nothing asked", ANONYMOUS, undefined, "passes"],
  ["anonymous, empty conditions", ANONYMOUS, {}, "passes"],
  ["anonymous, a scope", ANONYMOUS, { scopes: ["read"] }, REQUIRED],
  ["anonymous, a kind", ANONYMOUS, { kinds: ["user", "service"] }, REQUIRED],
  ["anonymous, a level", ANONYMOUS, { minLevel: 1 }, REQUIRED],
  ["anonymous, an age", ANONYMOUS, { maxAuthAgeS: 60 }, REQUIRED],
  ["a user, nothing asked", who(), {}, "passes"],
  ["a user where users may", who(), { kinds: ["user"] }, "passes"],
  ["a user where services may", who(), { kinds: ["service"] }, NOT_ALLOWED],
  ["a service where services may", service, { kinds: ["service"] }, "passes"],
  ["a service where users may", service, { kinds: ["user"] }, NOT_ALLOWED],
  ["a service where both may", service, { kinds: ["user", "service"] }, "passes"],
  ["every scope", who({ scopes: ["write", "read"] }), { scopes: ["read", "write"] }, "passes"],
  ["one scope of two", who({ scopes: ["read"] }), { scopes: ["read", "write"] }, NOT_ALLOWED],
  ["a scope that only begins alike", who({ scopes: ["reads"] }), { scopes: ["read"] }, NOT_ALLOWED],
  ["a scope in another case", who({ scopes: ["Read"] }), { scopes: ["read"] }, NOT_ALLOWED],
  ["two scopes in one", who({ scopes: ["read write"] }), { scopes: ["read"] }, NOT_ALLOWED],
  ["no scope", who(), { scopes: ["read"] }, NOT_ALLOWED],
  ["the level exactly", session({ level: 2 }), { minLevel: 2 }, "passes"],
  ["a higher level", session({ level: 3 }), { minLevel: 2 }, "passes"],
  ["a lower level", session({ level: 1 }), { minLevel: 2 }, STEP_UP],
  ["a token, which has no level", who(), { minLevel: 1 }, STEP_UP],
  ["the age exactly", session({ authTimeMs: ago(300) }), { maxAuthAgeS: 300 }, "passes"],
  ["a millisecond older", session({ authTimeMs: ago(300) - 1 }), { maxAuthAgeS: 300 }, STEP_UP],
  ["a session that does not know when it began", session({ authTimeMs: null }), { maxAuthAgeS: 300 }, STEP_UP],
  ["a fresh token, at whose making nobody need have been", who({ authTimeMs: ago(1) }), { maxAuthAgeS: 300 }, STEP_UP],
  ["level but not age", session({ level: 3 }), { minLevel: 2, maxAuthAgeS: 60 }, STEP_UP],
  ["age but not level", session({ authTimeMs: ago(1) }), { minLevel: 2, maxAuthAgeS: 60 }, STEP_UP],
  ["both", session({ level: 2, authTimeMs: ago(1) }), { minLevel: 2, maxAuthAgeS: 60 }, "passes"],
  ["neither level nor scope: no login helps", session(), { minLevel: 2, scopes: ["write"] }, NOT_ALLOWED],
  ["all that is asked", session({ level: 2 }), { kinds: ["user"], scopes: ["read"], minLevel: 2 }, "passes"],
])("%s: %s", (_what, subject, conditions, expected) => {
  expect(codeOf(subject, conditions)).toBe(expected)
})

describe("a challenge", () => {
  const challengeOf = (subject: Subject, conditions: Partial<Conditions>) => {
    try {
      authorize(subject, { scopes: [], ...conditions }, clock)
    } catch (thrown) {
      return (thrown as Refusal).options.headers?.["www-authenticate"]
    }
    return undefined
  }

  it("names the scopes that are asked for (RFC 6750)", () => {
    expect(challengeOf(who(), { scopes: ["a", "b"] })).toBe('Bearer error="insufficient_scope", scope="a b"')
  })

  it("names level and age as they are asked for (RFC 9470)", () => {
    const error = 'Bearer error="insufficient_user_authentication", error_description="Log in again for this"'
    expect(challengeOf(session(), { minLevel: 2 })).toBe(`${error}, acr_values="2"`)
    expect(challengeOf(session(), { maxAuthAgeS: 60 })).toBe(`${error}, max_age="60"`)
    expect(challengeOf(session(), { minLevel: 3, maxAuthAgeS: 60 })).toBe(`${error}, acr_values="3", max_age="60"`)
  })
})
