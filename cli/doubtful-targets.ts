/**
 * What a person may not have meant with a revocation: a slip revokes nobody, and the key that signs would revoke everybody's passports. Nothing here keeps a
 * revocation from being made while the control plane cannot be asked.
 */
import { keyRingShape } from "../contracts/api.ts"
import { policySections, SERVICE_ACCOUNTS_IDP } from "../contracts/dispatch-config.ts"
import { PASSPORT_KEYS_IDP, type RevocationTarget } from "../contracts/revocation.ts"
import type { ApiClient } from "./api-client.ts"
import { Failure } from "./failure.ts"
import type { Io } from "./io.ts"
import { edgeKeys } from "./show-keys.ts"

/** Throws a Failure for a key of the passports that signs, or will: isolates go on signing with it, and what they sign is refused. */
export async function refuseKeyThatSigns(target: RevocationTarget, api: ApiClient, io: Io): Promise<void> {
  if (target.kind !== "key" || target.idp !== PASSPORT_KEYS_IDP) return
  const [ring, edge] = await Promise.all([
    api.get("/v1/keys", keyRingShape).catch(() => null),
    edgeKeys(api.connection.edgeUrl, io),
  ])
  const found = ring?.value.keys.find(({ kid }) => kid === target.kid)
  const isUsed = found?.state === "current" || found?.state === "next" || edge?.signing === target.kid
  if (isUsed)
    throw new Failure(`Nothing was revoked: ${target.kid} is the key that signs, or is about to`, {
      why: "The edge would refuse its own passports, and a revocation cannot be taken back.",
      fix: "`sallyport keys rotate --immediately --yes` first, and again here once `sallyport keys list` shows that the edge signs with another; or add --yes.",
    })
}

/** Why the target may be nobody; null when there is no reason to think so. */
export async function slipIn(target: RevocationTarget, api: ApiClient): Promise<string | null> {
  if (target.kind !== "subject" && target.kind !== "key") return null
  const { kind, idp } = target
  if (idp === SERVICE_ACCOUNTS_IDP || (kind === "key" && idp === PASSPORT_KEYS_IDP)) return null
  const issuers = await api.get("/v1/policy/issuers", policySections.issuers).catch(() => null)
  if (issuers === null || Object.hasOwn(issuers.value, idp)) return null
  const known = Object.keys(issuers.value).sort().join(", ") || "none"
  return `No issuer is called ${idp} (there are: ${known}): if that is a slip, nobody was revoked.`
}
