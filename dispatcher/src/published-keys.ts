/**
 * The keys by which passports are verified, as the world may know them: those of the ring, without what was revoked through the feed. So a backend, which knows the
 * gateway by its key set alone, stops accepting a revoked key when it reads the set again.
 */
import { PASSPORT_KEYS_IDP, targetHash } from "../../contracts/revocation.ts"
import { Refusal } from "../../kit/problem.ts"
import type { Dependencies } from "./dependencies.ts"

/** Those of the newest config, where there is one: whoever asks because of an unknown key shall not be told of the keys before it. Never rejects. */
export async function publishedKeys(
  deps: Pick<Dependencies, "config" | "keys" | "clock" | "revocations">,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<{ readonly keys: readonly JsonWebKey[] }> {
  await Promise.resolve(deps.config.current(waitUntil)).catch(() => undefined)
  const published: JsonWebKey[] = []
  for (const jwk of deps.keys.jwks(deps.clock.now()).keys)
    if (!("kid" in jwk) || !(await isRevoked(String(jwk.kid), deps, waitUntil))) published.push(jwk)
  return { keys: published }
}

/** Only what is known to be revoked is left out: a feed that cannot be reached takes no key from anybody. */
async function isRevoked(
  kid: string,
  { revocations }: Pick<Dependencies, "revocations">,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<boolean> {
  const hash = await targetHash({ kind: "key", idp: PASSPORT_KEYS_IDP, kid })
  try {
    await revocations.refuseRevoked(
      { hashes: [hash], madeAtMs: 0 },
      false,
      Number.POSITIVE_INFINITY,
      () => undefined,
      waitUntil,
    )
    return false
  } catch (thrown) {
    return thrown instanceof Refusal && thrown.code === "auth.revoked"
  }
}
