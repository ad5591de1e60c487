/** API tokens. Only their hashes are kept; a token is seen once, in the answer that made it. */
import { base64url } from "jose"
import type { Role } from "../../../contracts/api.ts"
import { refuse } from "../../../kit/problem.ts"
import { sha256Hex } from "../../../kit/sha256.ts"
import type { Actor } from "../actor.ts"
import { canonicalJson } from "../canonical-json.ts"
import { commit, type Decision, type LedgerDependencies } from "./ledger.ts"
import { type Page, type PageQuery, readPage } from "./page.ts"
import { type RawRow, type TokenRow, toToken } from "./rows.ts"

export type TokenStore = ReturnType<typeof tokenStore>

export interface NewToken {
  readonly role: Role
  /** Null exactly for ops. */
  readonly team: string | null
  readonly label: string
  /** Seconds from now; null: no end. */
  readonly expiresInS: number | null
  /** Why; kept in the audit alone. */
  readonly message?: string | undefined
}

/** Tokens in force that a team may have at one time, and that ops may: nobody keeps more apart, and each is a way in. */
const MAX_IN_FORCE = 200
/** Of the tokens revoked with another, as many are named in its record; a digest stands for more. */
const LISTED_IN_AUDIT = 50

/** The token ?1 and all that descend from it. */
const FAMILY =
  "WITH RECURSIVE family (member) AS (VALUES (?1) UNION SELECT tokens.id FROM tokens JOIN family ON tokens.created_by = member)"
const COLUMNS = "SELECT id, team, role, label, created_by, created_at, expires_at, revoked_at FROM tokens"

export function tokenStore(deps: LedgerDependencies) {
  const { db } = deps

  async function get(id: string): Promise<TokenRow | null> {
    const row = await db.prepare(`${COLUMNS} WHERE id = ?`).bind(id).first<RawRow>()
    return row === null ? null : toToken(row)
  }

  /** Whatever its state: the caller looks at expiry and revocation. */
  async function findByHash(hash: string): Promise<TokenRow | null> {
    const row = await db.prepare(`${COLUMNS} WHERE hash = ?`).bind(hash).first<RawRow>()
    return row === null ? null : toToken(row)
  }

  /** By id; of one team, or of all when `team` is null. */
  function list(team: string | null, query: PageQuery): Promise<Page<TokenRow>> {
    const listing = { select: COLUMNS, key: "id", where: team === null ? [] : ["team = ?"] }
    return readPage(db, { ...listing, values: team === null ? [] : [team] }, query, toToken)
  }

  /**
   * Makes a token: `spt_` and 256 random bits. It ends no later than the one that makes it. Throws `api.not-found` when there is no such team,
   * `api.body-invalid` for a longer life, `api.unauthenticated` when the maker was revoked meanwhile, `api.too-many-tokens`.
   */
  async function create(wanted: NewToken, actor: Actor): Promise<{ row: TokenRow; token: string }> {
    const secret = crypto.getRandomValues(new Uint8Array(32))
    const token = `spt_${base64url.encode(secret)}`
    const hash = await sha256Hex(token)
    const id = deps.ids.next("t")
    const row = await commit(deps, actor, async (): Promise<Decision<TokenRow>> => {
      if (wanted.team !== null && !(await teamExists(wanted.team))) throw refuse("api.not-found")
      const creator = await get(actor.tokenId)
      if (creator !== null && creator.revokedAt !== null) throw refuse("api.unauthenticated")
      const now = deps.clock.now()
      await requireRoom(wanted.team, now)
      const made: TokenRow = {
        id,
        team: wanted.team,
        role: wanted.role,
        label: wanted.label,
        createdBy: creator?.id ?? null,
        createdAt: new Date(now).toISOString(),
        expiresAt: endOf(wanted.expiresInS, now, creator?.expiresAt ?? null),
        revokedAt: null,
      }
      const { team, role, label, createdBy, createdAt, expiresAt } = made
      return {
        statements: [
          db
            .prepare(
              "INSERT INTO tokens (id, team, role, hash, label, created_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(id, team, role, hash, label, createdBy, createdAt, expiresAt),
        ],
        audit: [
          {
            action: "token.create",
            target: `tokens/${id}`,
            detail: { team, role, label, expiresAt, message: wanted.message },
          },
        ],
        result: made,
      }
    })
    return { row, token }
  }

  /**
   * For ever, with every token made by it, by one of those, and so on; revoking again changes nothing. `message` is why, kept in the audit.
   * Throws `api.not-found`, and `api.forbidden` unless ops, the token itself or one that it descends from asks.
   */
  function revoke(id: string, actor: Actor, message?: string): Promise<void> {
    return commit(deps, actor, async (): Promise<Decision<void>> => {
      const found = await get(id)
      if (found === null) throw refuse("api.not-found")
      if (actor.role !== "ops" && !(await comesFrom(id, actor.tokenId)))
        throw refuse("api.forbidden", {
          detail: "A team's token revokes itself and the tokens that come from it; ask ops for the others.",
        })
      const lost = await inForceOf(id)
      if (lost.length === 0) return { statements: [], audit: [], result: undefined }
      const revokedAt = new Date(deps.clock.now()).toISOString()
      const descendants = lost.filter((each) => each !== id)
      const count = descendants.length
      const named = count <= LISTED_IN_AUDIT ? { descendants } : { digest: await sha256Hex(canonicalJson(descendants)) }
      return {
        statements: [
          db
            .prepare(
              `${FAMILY} UPDATE tokens SET revoked_at = ?2 WHERE revoked_at IS NULL AND id IN (SELECT member FROM family)`,
            )
            .bind(id, revokedAt),
        ],
        audit: [
          { action: "token.revoke", target: `tokens/${id}`, detail: { team: found.team, count, ...named, message } },
        ],
        result: undefined,
      }
    })
  }

  /** Ids, sorted: of the token and all that descend from it, those that were not revoked. */
  async function inForceOf(id: string): Promise<readonly string[]> {
    const { results } = await db
      .prepare(
        `${FAMILY} SELECT id FROM tokens WHERE revoked_at IS NULL AND id IN (SELECT member FROM family) ORDER BY id`,
      )
      .bind(id)
      .all<{ id: string }>()
    return results.map((row) => row.id)
  }

  /** Ids, sorted, of the tokens with which somebody may act for the team now; as many as it may have. */
  async function inForceOfTeam(team: string): Promise<readonly string[]> {
    const { results } = await db
      .prepare(
        "SELECT id FROM tokens WHERE team = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) ORDER BY id",
      )
      .bind(team, new Date(deps.clock.now()).toISOString())
      .all<{ id: string }>()
    return results.map((row) => row.id)
  }

  /** True when `id` is `maker`, or was made by it, by one that it made, and so on. */
  async function comesFrom(id: string, maker: string): Promise<boolean> {
    const found = await db
      .prepare(
        `WITH RECURSIVE line (member) AS (VALUES (?1) UNION SELECT created_by FROM tokens JOIN line ON tokens.id = member WHERE created_by IS NOT NULL)
         SELECT 1 AS one FROM line WHERE member = ?2`,
      )
      .bind(id, maker)
      .first()
    return found !== null
  }

  /** Throws `api.too-many-tokens` when a team, or ops for null, may have no other at the moment. */
  async function requireRoom(team: string | null, now: number): Promise<void> {
    const held = await db
      .prepare(
        "SELECT count(*) AS held FROM tokens WHERE team IS ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)",
      )
      .bind(team, new Date(now).toISOString())
      .first<number>("held")
    if ((held ?? 0) >= MAX_IN_FORCE)
      throw refuse("api.too-many-tokens", {
        detail: `${team === null ? "Ops have" : `The team ${team} has`} ${held} tokens in force, of ${MAX_IN_FORCE}; revoke some.`,
      })
  }

  async function teamExists(team: string): Promise<boolean> {
    return (await db.prepare("SELECT 1 AS one FROM teams WHERE name = ?").bind(team).first()) !== null
  }

  return { get, findByHash, list, inForceOfTeam, create, revoke }
}

/** For whoever removes a team: its tokens, none of which is in force any more. What is unknown is refused as what was revoked; that there were any, the audit says. */
export function forgetTokens(db: D1Database, team: string): D1PreparedStatement {
  return db.prepare("DELETE FROM tokens WHERE team = ?").bind(team)
}

/** When a token ends whose maker ends at `bound`; both null for never. Throws `api.body-invalid` for a wish beyond the bound. */
function endOf(expiresInS: number | null, now: number, bound: string | null): string | null {
  if (expiresInS === null) return bound
  const end = now + expiresInS * 1000
  if (bound !== null && end > Date.parse(bound))
    throw refuse("api.body-invalid", {
      errors: [
        { pointer: "/expiresInS", detail: `the token that makes it ends at ${bound}; leave this out to end then` },
      ],
    })
  return new Date(end).toISOString()
}
