/** Who the token is and which account it sees: what wrangler asks for `whoami` and when no account id is set. */
import type { Answer } from "./envelope.ts"
import type { Call } from "./operation.ts"

/** GET /accounts */
export function listAccounts({ deps }: Call): Answer {
  return pageOf([accountOf(deps.settings)])
}

/** GET /memberships */
export function listMemberships({ actor, deps }: Call): Answer {
  return pageOf([{ id: actor.tokenId, status: "accepted", account: accountOf(deps.settings), roles: [actor.role] }])
}

/** GET /user */
export function showUser({ actor }: Call): Answer {
  // wrangler prints `email` as the one the token belongs to.
  return { result: { id: actor.tokenId, email: actor.team === null ? "ops" : `team ${actor.team}` } }
}

/** GET /user/tokens/verify */
export function verifyToken({ actor }: Call): Answer {
  return {
    result: { id: actor.tokenId, status: "active" },
    messages: ["This API Token is valid and active"],
  }
}

function accountOf({ cloudflare, environment }: Call["deps"]["settings"]) {
  return { id: cloudflare.accountId, name: `sallyport ${environment}`, type: "standard" }
}

function pageOf(items: readonly unknown[]): Answer {
  return {
    result: items,
    resultInfo: { page: 1, per_page: 50, count: items.length, total_count: items.length, total_pages: 1 },
  }
}
