/**
 * The dispatch config: all that the dispatcher knows of teams, routes and policy, in one immutable, validated document.
 * Written by control-plane/src/config/ and by nobody else; read by dispatcher/src/route/config.ts.
 * Both sides run the parser below, so that what cannot be loaded cannot be published.
 * Long because it is one document: its shapes, its bounds and its references are read together, and a part elsewhere could be published without them.
 */
import { z } from "zod"
import { isCidr } from "./cidr.ts"
import { publicKeySet } from "./public-jwk.ts"
import { isGatewayOwned } from "./reserved-headers.ts"
import { isScriptName } from "./script-name.ts"
import { type Fault, MAX_FAULTS, toFaults } from "./to-faults.ts"

export const CONFIG_FORMAT = 1
/** KV key of the {@link ConfigPointer} to the revision in force. */
export const CONFIG_POINTER_KEY = "config/current"
/** KV key of one immutable revision. */
export function configKey(revision: number): string {
  return `config/revision/${revision}`
}

/** Bounds, checked at publish and again at load. An isolate has 128 MB and holds two revisions while it changes over; parsing takes about ten times the text. */
export const CONFIG_LIMITS = {
  bytes: 4 * 1024 * 1024,
  hostnames: 10_000,
  routes: 100_000,
  scripts: 10_000,
  teams: 5_000,
  companies: 50_000,
  listEntries: 10_000,
  releasesPerDeployment: 8,
} as const

/** Weights are basis points; a release set sums to this. */
export const FULL_WEIGHT_BPS = 10_000

const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, "must be 1–63 of a–z, 0–9 and -, beginning with a letter")
const scriptName = z.string().refine(isScriptName, "is not a script name")
const HOSTNAME = /^(?!(.*\.)?\d+$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/
export const hostname = z
  .string()
  .max(253)
  .regex(HOSTNAME, { error: ({ input }) => `must be a lower-case hostname without trailing dot${canonical(input)}` })
/** For one in capitals or with the dot: how to write it. */
function canonical(input: unknown): string {
  if (typeof input !== "string" || input.length > 254) return ""
  const written = input.toLowerCase().replace(/\.$/, "")
  return written !== input && HOSTNAME.test(written) ? `; write ${written}` : ""
}
/** `/a/b` matches that path alone; `/a/*` matches `/a` and everything below `/a/`; never `/apiary` for `/a`. */
const pathPattern = z
  .string()
  .max(1024)
  .regex(
    /^\/$|^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._~!$&'()+,=:@-]+)*(\/\*)?$/,
    "must be `/a/b` or `/a/*`, without empty or dot segments",
  )
  .refine((path) => path.length > 0, "must not be empty")
  .refine((path) => !isGatewayOwned(path), "lies where the gateway itself answers")
/** Never `script:…`: those are the user Workers' own (contracts/passport.ts). */
const audienceName = z.string().regex(/^(?!script:)[a-z][a-z0-9:-]{0,62}$/, "is not an audience name")
const mode = z.enum(["log", "enforce"])
const addressRange = z
  .string()
  .max(50)
  .refine(isCidr, "must be an IP address, or a CIDR range with no bits set beyond its prefix")
const origin = z
  .string()
  .refine(
    (value) => /^https?:\/\//.test(value) && URL.canParse(value) && new URL(value).origin === value,
    "must be an origin such as https://cell.example:8443",
  )
/** That of pages which may read something with credentials: over plain http, whoever is between could speak as it. */
const webOrigin = origin.refine(
  (value) =>
    (value.startsWith("https://") || /^http:\/\/([^/]+\.)?(localhost|127\.0\.0\.1)(:|$)/.test(value)) &&
    !value.includes("*"),
  "must be one origin, and https unless it is on this machine",
)
/** Company ids are decimal text: they exceed 53 bits and are never parsed into a number. */
export const companyId = z.string().regex(/^[0-9]{1,20}$/, "must be 1–20 decimal digits")

/** Id of an identity provider: a name among `issuers`. */
export const idpName = name
/** `idp` of whoever comes with a service account's key. */
export const SERVICE_ACCOUNTS_IDP = "service-accounts"
/** Names that `idp` has another meaning under: no issuer may have them. `passports` is contracts/revocation.ts's. */
const RESERVED_IDPS: readonly string[] = [SERVICE_ACCOUNTS_IDP, "passports"]

/** Bearer JWTs of this issuer are accepted on routes that name it, and sessions that began with it. Keys come with the config: no isolate ever fetches them. */
const issuer = z.strictObject({
  issuer: z.string().min(1).max(500),
  /** One of these must be the token's `aud`. Never the client id of a login: its id tokens, made for the login Worker alone, would be bearer tokens. */
  audiences: z.array(z.string().min(1).max(500)).min(1).max(20),
  algorithms: z.array(z.enum(["ES256", "EdDSA", "RS256"])).min(1),
  jwks: publicKeySet,
  /** Where the control plane looks for newer keys (RFC 7517 §5): https, or http on loopback. Absent: ops put the keys in. */
  jwksUri: z.url().max(500).refine(isKeySetPlace, "must be https, without a user's name").optional(),
  kind: z.enum(["user", "service"]).default("user"),
  /** Claim that holds the company id, if any. */
  companyClaim: z.string().min(1).max(100).optional(),
  /** Seconds of clock difference tolerated, 0–60. */
  clockSkewS: z.int().min(0).max(60).default(60),
})

/** Judged as parsed: by its beginning, http://localhost:x@idp.example would be on loopback. */
function isKeySetPlace(url: string): boolean {
  if (!URL.canParse(url)) return false
  const { protocol, hostname, username, password } = new URL(url)
  if (username !== "" || password !== "") return false
  return protocol === "https:" || (protocol === "http:" && ["127.0.0.1", "localhost"].includes(hostname))
}

const release = z.strictObject({
  version: z.int().min(1).max(999_999_999),
  weightBps: z.int().min(0).max(FULL_WEIGHT_BPS),
})
/** Which versions of a script receive traffic. */
export const releases = z
  .array(release)
  .min(1)
  .max(CONFIG_LIMITS.releasesPerDeployment)
  .refine(
    (list) => list.reduce((sum, each) => sum + each.weightBps, 0) === FULL_WEIGHT_BPS,
    `weights must sum to ${FULL_WEIGHT_BPS} basis points`,
  )
  .refine((list) => new Set(list.map((each) => each.version)).size === list.length, "a version may appear once")

/** What keeps a caller on one version. The first of these that the request has, beginning at the named one: company, subject, request. */
export const stickyBy = z.enum(["company", "subject", "request"])

export const scopeName = z
  .string()
  .regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,64}$/, "must be a scope of at most 64 characters")
/** All of these must be among the subject's scopes. Few and short: what one route may take of {@link CONFIG_LIMITS} is everybody's. */
const scopes = z.array(scopeName).max(20).default([])
const kinds = z.array(z.enum(["user", "service"])).min(1)

/** Step-up: the least level that a session must have, contracts/session.ts. Other credentials have level 0. */
const minLevel = z.int().min(1).max(3).optional()
/** Step-up: seconds since the person last proved who they are, in a session; of other credentials nobody knows. */
const maxAuthAgeS = z.int().min(30).max(31_536_000).optional()
/** Refuses while it is not known what was revoked; others pass and say so in their trip. */
const sensitive = z.boolean().optional()

/**
 * Who may reach a script, whatever the way: asked at the entrance after the route's own conditions, and again at each sibling dispatch. What it does not name it does not ask.
 * `minLevel`, `maxAuthAgeS` and `sensitive` are younger than the format, like those of {@link auth}.
 */
export const access = z.strictObject({ scopes, kinds: kinds.optional(), minLevel, maxAuthAgeS, sensitive })

const auth = z.strictObject({
  /** `optional`: no credential is fine, a wrong one is refused all the same. `none`: the credential is neither checked nor passed on. */
  mode: z.enum(["required", "optional", "none"]),
  /** Ids of `issuers`; at least one unless mode is `none`. */
  issuers: z.array(name).max(20).default([]),
  scopes,
  kinds: kinds.optional(),
  /**
   * Which credentials are looked at; absent: bearer tokens alone. The session's cookie is as none where sessions are not listed, and `Authorization` where neither of the others is;
   * where one of those is, it must hold one that is listed.
   */
  accept: z
    .array(z.enum(["bearer", "session", "service-key"]))
    .min(1)
    .max(3)
    .optional(),
  /** The `aud` of a bearer token must be one of these, beyond what its issuer asks. */
  audiences: z.array(z.string().min(1).max(500)).min(1).max(20).optional(),
  minLevel,
  maxAuthAgeS,
  sensitive,
  /** Path on this hostname to which a browser without a session is sent. */
  login: z
    .string()
    .max(200)
    .regex(/^(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._~-]+)+$/, "must be a path such as /login/start")
    .optional(),
})

/** Counted in bytes like the config that it lies in: 200 characters may be 600 bytes. */
const killReason = z
  .string()
  .refine((text) => new TextEncoder().encode(text).byteLength <= 200, "must be at most 200 bytes as UTF-8")

/** The kill switch: `enforce` answers 503, `log` only says it would. */
export const kill = z.strictObject({ mode, reason: killReason, retryAfterS: z.int().min(1).max(86_400).default(30) })

export const route = z.strictObject({
  id: name,
  path: pathPattern,
  script: scriptName,
  /** Team that owns the route (not always the script's). */
  team: name,
  /** Zone named in the passport, where the route implies one. A team needs the grant `zone:<zone>` to say it; ops do not. */
  zone: name.optional(),
  auth,
  /** Overrides the script's own deployment on this route. */
  releases: releases.optional(),
  stickyBy: stickyBy.optional(),
  /** Milliseconds until the Worker's response headers must be there, 50–300 000. */
  timeoutMs: z.int().min(50).max(300_000).optional(),
  kill: kill.optional(),
  /**
   * A browser's CORS preflight carries no credential (Fetch §3.2.2). `worker`: it goes to the script without one, whatever `auth` asks of others; the script
   * answers it with `kit/cors.ts`. Absent: it is treated like any request.
   */
  preflight: z.literal("worker").optional(),
  /**
   * Web origins, as browsers send them, whose scripts may read the problems that the gateway itself answers on this route, with credentials or without (Fetch §3.3): what a script's
   * own answers allow is said by the script. Absent: none; a page of another origin sees a network error in place of, say, 401. Younger than the format.
   */
  problemsReadableBy: z.array(webOrigin).min(1).max(20).optional(),
  /** Other teams may attach more specific paths below. */
  open: z.boolean().default(false),
})

const script = z.strictObject({
  team: name,
  /** Null until the first deployment. */
  releases: releases.nullable(),
  stickyBy: stickyBy.default("company"),
  limits: z
    .strictObject({ cpuMs: z.int().min(1).max(300_000), subRequests: z.int().min(1).max(10_000) })
    .default({ cpuMs: 1000, subRequests: 50 }),
  timeoutMs: z.int().min(50).max(300_000).default(30_000),
  access: access.optional(),
  /** Switches the script off on all its routes and for siblings. */
  kill: kill.optional(),
})

/**
 * `dispatch:<script>` send a request to a sibling; `audience:<audience>` learn where its origins are, and have passports attached on the way there; `zone:<zone>` name that zone
 * where the request has another, when dispatching or for a route of the team's;
 * `zones:read`, `flags:read`; `sessions:login` begin sessions, with the gateway's cookies; `revoke:<kind>` revoke what contracts/revocation.ts names so;
 * `resource:<type>:<id>` bind a resource of the account in an upload, such as `resource:kv_namespace:0f2a…`.
 */
export const grant = z
  .string()
  .regex(
    /^(dispatch:[a-z][a-z0-9-]{0,62}|audience:[a-z][a-z0-9:-]{0,62}|zone:[a-z][a-z0-9-]{0,62}|zones:read|flags:read|sessions:login|revoke:(session|subject|company|everything|key)|resource:(kv_namespace|r2_bucket|d1|queue|analytics_engine):[A-Za-z0-9][A-Za-z0-9._-]{0,127})$/,
    "is not a grant",
  )

export const team = z.strictObject({
  grants: z.array(grant).max(200).default([]),
  /** Origins that the team's Workers may call. Empty: none. */
  egress: z.array(origin).max(200).default([]),
  /** Switches off all routes of the team and all its scripts; in `enforce`, its Workers are granted nothing any more. Thrown by ops alone. Younger than the format. */
  kill: kill.optional(),
})

/** `enforce` refuses; `log` lets pass and writes a finding into the trip. */
export const screen = z.strictObject({
  tls: z.strictObject({
    mode,
    minimum: z.enum(["TLSv1.2", "TLSv1.3"]).default("TLSv1.2"),
    /** When the platform does not say (`request.cf` absent): refuse, unless told otherwise. */
    whenUnknown: z.enum(["allow", "refuse"]).default("refuse"),
  }),
  methods: z.strictObject({
    mode,
    allow: z
      .array(z.string().regex(/^[A-Z]{1,20}$/))
      .min(1)
      .max(20),
  }),
  size: z.strictObject({
    mode,
    urlBytes: z.int().min(256).max(16_384).default(16_384),
    headerBytes: z.int().min(1024).max(131_072).default(65_536),
    /** Declared Content-Length; chunked bodies are bounded by the platform. */
    bodyBytes: z.int().min(0).default(524_288_000),
  }),
  /** CIDR ranges, IPv4 or IPv6. */
  addresses: z.strictObject({
    mode,
    deny: z.array(addressRange).max(CONFIG_LIMITS.listEntries).default([]),
  }),
  countries: z.strictObject({
    mode,
    deny: z
      .array(z.string().regex(/^([A-Z]{2}|T1)$/))
      .max(300)
      .default([]),
  }),
  asns: z.strictObject({
    mode,
    deny: z.array(z.int().min(1).max(4_294_967_295)).max(CONFIG_LIMITS.listEntries).default([]),
  }),
  /** The abuse brake, per client address (IPv6 by /64), on the platform's rate-limit binding. Its limit and period are constants of dispatcher/src/edge/brake.ts, to which a test holds the binding in wrangler.toml. */
  brake: z.strictObject({ mode: z.enum(["off", "log", "enforce"]) }),
})

/** Traces of requests, by W3C Trace Context. */
export const tracing = z.strictObject({
  /** What becomes of a `traceparent` from outside. `restart`: nothing, a trace begins at the entrance. `trust`: the trace goes on and its flag says whether it is recorded. */
  incoming: z.enum(["restart", "trust"]).default("restart"),
  /** How many of the traces that begin at the entrance are recorded, in basis points. */
  sampleBps: z.int().min(0).max(FULL_WEIGHT_BPS).default(0),
})

/** A destination that passports are made for. */
const audience = z.strictObject({
  origins: z.array(origin).min(1).max(50),
  /** `txn-token`: a Transaction Token in the header `txn-token` instead (contracts/passport.ts). Absent: a passport. */
  profile: z.enum(["passport", "txn-token"]).optional(),
})

/** How sessions and revocations are dealt with. */
const identity = z.strictObject({
  /** Seconds since an isolate last reached the session store for which it goes by what the cookie says alone. */
  sessionGraceS: z.int().min(0).max(86_400).default(3600),
  /** Age of the revocation feed, milliseconds, from which on sensitive routes refuse. */
  feedMaxAgeMs: z.int().min(1000).max(300_000).default(5000),
})

/**
 * Calls with keys of its own making, `spsa_<name>_<secret>`; the config holds their hashes. A key lives as long as it stands here, and at most
 * `MAX_SERVICE_KEY_LIFETIME_S` (contracts/revocation.ts): as long as what revokes it is remembered.
 */
const serviceAccount = z.strictObject({
  scopes: z.array(scopeName).max(100).default([]),
  company: companyId.optional(),
  keys: z
    .array(
      z.strictObject({
        id: name,
        /** SHA-256 of the whole key, lower-case hex. */
        hash: z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in lower-case hex"),
        /** Revocations "until T" go by it, and the longest that the key may live. */
        createdAt: z.iso.datetime(),
        expiresAt: z.iso.datetime().optional(),
      }),
    )
    .max(5),
})

/** Characters of a subject's entry as JSON. All of it stands in its passports, and a passport beyond contracts/compact-jws.ts's bound is believed by nobody. */
const SUBJECT_MOST = 3_900

/** What a subject may beyond what its identity provider says: `<idp>/<subject>` → … */
const subject = z
  .strictObject({
    /** Added to those of the credential. */
    scopes: z.array(scopeName).max(100).optional(),
    /** Companies that the subject is a member of, none when empty; absent: as the credential says. */
    companies: z.array(companyId).max(200).optional(),
  })
  .refine((entry) => JSON.stringify(entry).length <= SUBJECT_MOST, `must be at most ${SUBJECT_MOST} characters as JSON`)
const subjects = z.record(
  z
    .string()
    .min(3)
    .max(600)
    .regex(/^[a-z][a-z0-9-]{0,62}\/./, "must be <idp>/<subject>"),
  subject,
)

/** A key of the passports: its public part in the clear, its private part sealed for the dispatcher (contracts/passport-keys.ts). */
const passportKey = z.strictObject({
  kid: z.string().regex(/^[A-Za-z0-9._-]{1,100}$/),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  y: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  sealed: z.string().regex(/^[A-Za-z0-9_-]{40,400}$/),
  /** Milliseconds since the epoch. The key with the latest of those in the past signs. */
  signsFromMs: z.int().min(0),
  /** Published and accepted until then; absent: until something is said. */
  verifiesUntilMs: z.int().min(0).optional(),
})
const passportKeys = z
  .array(passportKey)
  .min(1)
  .max(8)
  .refine((keys) => new Set(keys.map((key) => key.kid)).size === keys.length, "a kid may appear once")

const zone = z.strictObject({
  audience: audienceName,
  baseUrl: origin,
  /** Countries from whose addresses the zone accepts requests, ISO 3166-1 alpha-2; absent: from everywhere. A client whose country is unknown is then refused. */
  countries: z
    .array(z.string().regex(/^[A-Z]{2}$/))
    .min(1)
    .max(300)
    .optional(),
})

/** A company on its way from one zone to another (docs/decisions/0013): what its requests get until the switch. */
const move = z.strictObject({
  /** `read-only`: requests that change nothing still go to the zone. `closed`: none does. */
  mode: z.enum(["read-only", "closed"]),
  retryAfterS: z.int().min(1).max(86_400).default(30),
})

/** Where companies live. */
const directory = z.strictObject({
  zones: z.record(name, zone),
  companies: z.record(companyId, name),
  /** Set by ops by hand; goes before `companies`, which a feed may replace as a whole. */
  overrides: z.record(companyId, name).optional(),
  moving: z.record(companyId, move).optional(),
})

const flagValue = z.union([z.boolean(), z.string().max(1000), z.number()])

export const dispatchConfigSchema = z.strictObject({
  format: z.literal(CONFIG_FORMAT),
  /** Grows by one with every publish. */
  revision: z.int().min(1),
  publishedAt: z.iso.datetime(),
  /** `iss` of the passports. */
  passportIssuer: z.string().min(1).max(500),
  screen,
  /** Absent in configs of before there was any. */
  tracing: tracing.default({ incoming: "restart", sampleBps: 0 }),
  issuers: z.record(name, issuer),
  // The next four are younger than the format: absent where nothing was said, so that a dispatcher of before takes the config up.
  identity: identity.optional(),
  serviceAccounts: z.record(name, serviceAccount).optional(),
  subjects: subjects.optional(),
  /** Absent: the dispatcher signs with its secret PASSPORT_KEYS. */
  passportKeys: passportKeys.optional(),
  /** `team`: whose hostname it is; null when it is nobody's in particular. */
  hostnames: z.record(hostname, z.strictObject({ team: name.nullable().default(null), routes: z.array(route) })),
  scripts: z.record(scriptName, script),
  teams: z.record(name, team),
  audiences: z.record(audienceName, audience),
  directory,
  flags: z.record(z.string().max(100), flagValue),
})

export type DispatchConfig = z.output<typeof dispatchConfigSchema>
export type RouteConfig = z.output<typeof route>
export type ScriptConfig = z.output<typeof script>
export type TeamConfig = z.output<typeof team>
export type TracingConfig = z.output<typeof tracing>
export type ScreenConfig = z.output<typeof screen>
export type IssuerConfig = z.output<typeof issuer>
export type ReleaseWeight = z.output<typeof release>
export type StickyBy = z.output<typeof stickyBy>
export type RouteAuth = z.output<typeof auth>
export type IdentityConfig = z.output<typeof identity>
export type ServiceAccountConfig = z.output<typeof serviceAccount>
export type SubjectConfig = z.output<typeof subject>
export type PassportKeyConfig = z.output<typeof passportKey>
export type AudienceConfig = z.output<typeof audience>

/** For configs that say nothing of it. */
export const DEFAULT_IDENTITY: IdentityConfig = identity.parse({})
export type ScriptAccess = z.output<typeof access>
export type KillSwitch = z.output<typeof kill>

/** Parts that ops write on their own, for the control plane's `/v1/policy/{section}`. */
export const policySections = {
  screen,
  tracing,
  issuers: z.record(name, issuer),
  identity,
  serviceAccounts: z.record(name, serviceAccount),
  subjects,
  audiences: z.record(audienceName, audience),
  directory,
  flags: z.record(z.string().max(100), flagValue),
} as const
export type PolicySection = keyof typeof policySections

/** Names the revision in force; small, overwritten at every publish. */
export const configPointerSchema = z.strictObject({
  revision: z.int().min(1),
  /** SHA-256 of the revision's bytes, lower-case hex. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  sizeBytes: z.int().min(2).max(CONFIG_LIMITS.bytes),
})
export type ConfigPointer = z.output<typeof configPointerSchema>

export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly Fault[] }

/**
 * The only way from text to a dispatch config. Never throws: a document too large, not JSON, of another format, or with a reference that leads nowhere, is a list of faults.
 * `text` is the exact stored revision.
 */
export function parseDispatchConfig(text: string): Parsed<DispatchConfig> {
  if (new TextEncoder().encode(text).byteLength > CONFIG_LIMITS.bytes)
    return fault("", `is larger than ${CONFIG_LIMITS.bytes} bytes`)
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return fault("", "is not JSON")
  }
  const parsed = dispatchConfigSchema.safeParse(document)
  if (!parsed.success) return { ok: false, faults: toFaults(parsed.error) }
  const faults = [...danglingReferences(parsed.data), ...tooMany(parsed.data)]
  return faults.length === 0 ? { ok: true, value: parsed.data } : { ok: false, faults: faults.slice(0, MAX_FAULTS) }
}

function fault(pointer: string, detail: string): { ok: false; faults: Fault[] } {
  return { ok: false, faults: [{ pointer, detail }] }
}

function tooMany(config: DispatchConfig): Fault[] {
  const faults: Fault[] = []
  const bound = (pointer: string, count: number, limit: number) => {
    if (count > limit) faults.push({ pointer, detail: `has ${count} entries, at most ${limit} are allowed` })
  }
  bound("/hostnames", Object.keys(config.hostnames).length, CONFIG_LIMITS.hostnames)
  bound("/scripts", Object.keys(config.scripts).length, CONFIG_LIMITS.scripts)
  bound("/teams", Object.keys(config.teams).length, CONFIG_LIMITS.teams)
  bound("/subjects", Object.keys(config.subjects ?? {}).length, CONFIG_LIMITS.companies)
  bound("/directory/companies", Object.keys(config.directory.companies).length, CONFIG_LIMITS.companies)
  bound("/directory/overrides", Object.keys(config.directory.overrides ?? {}).length, CONFIG_LIMITS.companies)
  bound("/directory/moving", Object.keys(config.directory.moving ?? {}).length, CONFIG_LIMITS.companies)
  let routes = 0
  for (const host of Object.values(config.hostnames)) routes += host.routes.length
  bound("/hostnames", routes, CONFIG_LIMITS.routes)
  return faults
}

/** Every name that points at another part of the document must find it, and a hostname may hold a path once. */
function* danglingReferences(config: DispatchConfig): Generator<Fault> {
  const has = (record: object, key: string) => Object.hasOwn(record, key)
  for (const [scriptKey, each] of Object.entries(config.scripts)) {
    if (!has(config.teams, each.team))
      yield { pointer: `/scripts/${scriptKey}/team`, detail: `no such team: ${each.team}` }
  }
  for (const [host, { routes }] of Object.entries(config.hostnames)) {
    const seen = new Set<string>()
    for (const [index, each] of routes.entries()) {
      const pointer = `/hostnames/${host}/routes/${index}`
      if (seen.has(each.path))
        yield { pointer: `${pointer}/path`, detail: `another route of this hostname has ${each.path}` }
      seen.add(each.path)
      if (!has(config.scripts, each.script))
        yield { pointer: `${pointer}/script`, detail: `no such script: ${each.script}` }
      if (!has(config.teams, each.team)) yield { pointer: `${pointer}/team`, detail: `no such team: ${each.team}` }
      if (each.zone !== undefined && !has(config.directory.zones, each.zone))
        yield { pointer: `${pointer}/zone`, detail: `no such zone: ${each.zone}` }
      const { scopes: scopesAsked, kinds: kindsAsked, accept: acceptAsked, audiences, login } = each.auth
      const asked = [kindsAsked, acceptAsked, audiences, each.auth.sensitive, login]
      const asks = scopesAsked.length > 0 || asked.some((what) => what !== undefined)
      if (each.auth.mode === "none" && asks)
        yield {
          pointer: `${pointer}/auth/mode`,
          detail: "a route that checks no credential cannot ask anything of one",
        }
      const accept = each.auth.accept ?? ["bearer"]
      if (each.auth.mode !== "none" && each.auth.issuers.length === 0 && accept.some((kind) => kind !== "service-key"))
        yield { pointer: `${pointer}/auth/issuers`, detail: "at least one issuer is needed" }
      const asksForSession = each.auth.minLevel !== undefined || each.auth.maxAuthAgeS !== undefined
      if (asksForSession && !accept.includes("session"))
        yield { pointer: `${pointer}/auth/accept`, detail: "a level or an age can be asked of sessions only" }
      for (const id of each.auth.issuers)
        if (!has(config.issuers, id)) yield { pointer: `${pointer}/auth/issuers`, detail: `no such issuer: ${id}` }
    }
  }
  for (const id of RESERVED_IDPS)
    if (has(config.issuers, id)) yield { pointer: `/issuers/${id}`, detail: "the name is the gateway's own" }
  for (const [zone, { audience: name }] of Object.entries(config.directory.zones)) {
    if (!has(config.audiences, name))
      yield { pointer: `/directory/zones/${zone}/audience`, detail: `no such audience: ${name}` }
  }
  for (const table of ["companies", "overrides"] as const) {
    for (const [company, zone] of Object.entries(config.directory[table] ?? {})) {
      if (!has(config.directory.zones, zone))
        yield { pointer: `/directory/${table}/${company}`, detail: `no such zone: ${zone}` }
    }
  }
}
