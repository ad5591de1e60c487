/**
 * What a person may not have meant with a revocation: a slip revokes nobody, and the key that signs would revoke everybody's passports. Nothing here keeps a
 * revocation from being made while the control plane cannot be asked.
 */
import { keyRingShape } from "../contracts/api.ts"
import { serviceAccountName, serviceAccountShape } from "../contracts/api-identity.ts"
import { policySections, SERVICE_ACCOUNTS_IDP } from "../contracts/dispatch-config.ts"
import { PASSPORT_KEYS_IDP, type RevocationTarget } from "../contracts/revocation.ts"
import type { ApiClient } from "./api-client.ts"
import { segment } from "./command.ts"
import { Failure } from "./failure.ts"
import type { Io } from "./io.ts"
import { edgeKeys } from "./show-keys.ts"

/** Throws a Failure for a key of the passports that signs, or will: isolates go on signing with it, and what they sign is refused. */
export async function refuseKeyThatSigns(target: RevocationTarget, api: ApiClient, io: Io): Promise<void> {
  if (target.kind !== "key" || target.idp !== PASSPORT_KEYS_IDP) return
  const [ring, { edge }] = await Promise.all([
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

/** Why the target may be nobody; null when there is no reason to think so, or it cannot be known. */
export async function slipIn(target: RevocationTarget, api: ApiClient, io: Io): Promise<string | null> {
  if (target.kind !== "subject" && target.kind !== "key") return null
  const { kind, idp } = target
  if (kind === "key" && idp === PASSPORT_KEYS_IDP) return slipInPassportKey(target.kid, api, io)
  if (idp === SERVICE_ACCOUNTS_IDP) return slipInServiceAccount(target, api)
  const issuers = await api.get("/v1/policy/issuers", policySections.issuers).catch(() => null)
  if (issuers === null || Object.hasOwn(issuers.value, idp)) return null
  const known = Object.keys(issuers.value).sort().join(", ") || "none"
  return `No issuer is called ${idp} (there are: ${known}): if that is a slip, nobody was revoked.`
}

async function slipInPassportKey(kid: string, api: ApiClient, io: Io): Promise<string | null> {
  const [ring, { edge }] = await Promise.all([
    api.get("/v1/keys", keyRingShape).catch(() => null),
    edgeKeys(api.connection.edgeUrl, io),
  ])
  if (ring === null) return null
  const known = [
    ...new Set([...ring.value.keys.map((key) => key.kid), ...(edge?.signing == null ? [] : [edge.signing])]),
  ]
  if (known.includes(kid)) return null
  return `No key of the passports is called ${kid} (there are: ${known.join(", ") || "none"}): if that is a slip, nothing was revoked.`
}

/** A key by that id need not be there: whoever revokes it may have taken it away before. */
async function slipInServiceAccount(
  target: Extract<RevocationTarget, { readonly kind: "subject" | "key" }>,
  api: ApiClient,
): Promise<string | null> {
  const [account = "", key, ...rest] = target.kind === "key" ? target.kid.split("/") : [target.subject]
  const isName = (text: string | undefined) => serviceAccountName.safeParse(text).success
  if (target.kind === "key" && !(isName(account) && isName(key) && rest.length === 0))
    return `${target.kid} is not <account>/<key>, as \`sallyport service-accounts get\` shows their ids: nothing was revoked.`
  const found = await api.find(`/v1/service-accounts/${segment(account)}`, serviceAccountShape).catch(() => undefined)
  return found === null ? `No service account is called ${account}: if that is a slip, nobody was revoked.` : null
}
