import { base64url, SignJWT } from "jose"
import { pinCreate, pinShape } from "../../../contracts/api.ts"
import { PIN_ALG, PIN_TYP, type PinClaims } from "../../../contracts/release-pin.ts"
import { PIN_HEADER } from "../../../contracts/reserved-headers.ts"
import { refuse } from "../../../kit/problem.ts"
import { placeMissing } from "../deployment.ts"
import { requireGranted } from "../require-granted.ts"
import { commit } from "../store/ledger.ts"
import { pinVersion } from "../store/removals.ts"
import { defineOperation } from "./operation.ts"
import { scriptOwner, scriptParams } from "./parameters.ts"
import { PLACEABLE, requirePlaced } from "./require-placed.ts"

/** A retired version is placed again for its pin: what it is for, to look at one version without giving it traffic, is wanted of an old one most of all. */
export const pinsCreate = defineOperation({
  id: "pins.create",
  method: "POST",
  path: "/v1/scripts/{script}/pins",
  summary: "Make a release pin: a header by which a request gets this version whatever the weights say",
  access: scriptOwner,
  params: scriptParams,
  body: pinCreate,
  answers: { 201: { description: "The pin and its header", shape: { name: "Pin", shape: pinShape } } },
  problems: [
    "api.body-invalid",
    "version.not-placed",
    "deployment.not-granted",
    "cloudflare.refused",
    "cloudflare.unavailable",
    "cloudflare.budget-spent",
    "api.busy",
  ],
  handle: async ({ actor, params: { script }, body: { version, lifetimeS, message }, deps }) => {
    await requirePlaced(script, [version], () => "/version", deps.store.versions, PLACEABLE)
    const [owner, row] = await Promise.all([deps.store.scripts.get(script), deps.store.versions.get(script, version)])
    if (owner === null || row === null) throw refuse("api.not-found")
    await requireGranted(owner.team, [row], deps)
    const iat = Math.floor(deps.clock.now() / 1000)
    const exp = iat + lifetimeS
    const expiresAt = new Date(exp * 1000).toISOString()
    const target = `scripts/${script}/versions/${version}`
    const audit = { action: "pin.create", target, detail: { expiresAt, message } }
    // Held first and looked at then: from here on nothing takes it out of the namespace before the pin has ended.
    const hold = pinVersion(deps.db, script, version, exp * 1000)
    const held = await commit(deps, actor, async () => {
      const found = await deps.store.versions.get(script, version)
      if (found === null) throw refuse("api.not-found")
      return { statements: [hold], audit: [audit], result: found }
    })
    await placeMissing(owner, [held], actor, deps)
    const claims = {
      iss: "sallyport-control-plane",
      aud: "sallyport-dispatcher",
      script,
      version,
      iat,
      exp,
    } satisfies PinClaims
    const pin = await new SignJWT(claims)
      .setProtectedHeader({ alg: PIN_ALG, typ: PIN_TYP })
      .sign(base64url.decode(deps.settings.pinKey))
    return { status: 201, body: { pin, header: PIN_HEADER, expiresAt } }
  },
})
