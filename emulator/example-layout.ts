/**
 * The example company of the laptop: teams, hostnames, routes, zones and companies, as plain data. Put in by emulator/seed.ts.
 * Hostnames are those of the case that Sallyport was built for; people, companies and teams are examples.
 */
import type { TokenRequest } from "./cells/issuer.ts"
import { EXAMPLE_AUDIENCE, EXAMPLE_COMPANY_CLAIM, EXAMPLE_ISSUER, EXAMPLE_ISSUER_ID } from "./cells/issuer.ts"
import { SESSIONS_NAMESPACE_ID } from "./cloudflare-api/account-resources.ts"
import type { ExampleOrigins } from "./example-origins.ts"
import { COMPANY_CLAIM } from "./origins/identity-provider.ts"
import type { Platform } from "./platform.ts"
import { ZONES } from "./platform.ts"

/** Grants by team. The cells need no entry among the origins that a team may call: whoever may ask for a cell's passport may send it there. */
export const TEAMS = {
  "edge-routing": [
    "dispatch:gateway",
    "zones:read",
    ...ZONES.flatMap((zone) => [`audience:cell:${zone}`, `zone:${zone}`]),
  ],
  web: [],
  storage: ["zones:read", ...ZONES.map((zone) => `audience:fus:${zone}`)],
  documents: ["audience:ecrion:legacy", "audience:ecrion:new"],
  identity: [
    "sessions:login",
    "revoke:session",
    "revoke:subject",
    "revoke:company",
    `resource:kv_namespace:${SESSIONS_NAMESPACE_ID}`,
  ],
} as const
export type ExampleTeam = keyof typeof TEAMS
export const TEAM_NAMES = Object.keys(TEAMS) as readonly ExampleTeam[]

/** Folder below user-workers/ and the team that uploads it. */
export const SCRIPTS: Readonly<Record<string, ExampleTeam>> = {
  router: "edge-routing",
  gateway: "edge-routing",
  pages: "web",
  files: "storage",
  ecrion: "documents",
  login: "identity",
  sessions: "identity",
}

/** Settings of scripts beside their team. An upload may take minutes, and its digest some CPU. */
export const SCRIPT_SETTINGS: Readonly<Record<string, object>> = {
  files: { timeoutMs: 300_000, limits: { cpuMs: 30_000, subRequests: 50 } },
  sessions: { limits: { cpuMs: 1_000, subRequests: 500 } },
}

/** `open`: every team may attach routes, so that the single-page apps need nobody's leave. */
export const HOSTNAMES: Readonly<Record<string, { readonly team: ExampleTeam; readonly open: boolean }>> = {
  "api.procore.com": { team: "edge-routing", open: false },
  "app.procore.com": { team: "edge-routing", open: true },
  "us02.procore.com": { team: "edge-routing", open: false },
  "app.uk01.procore.com": { team: "edge-routing", open: false },
  "storage.procore.com": { team: "storage", open: false },
}

/** Origins that a team's Worker calls beside what its audiences name. The collector is one: whoever is traced sends its spans there. */
export function egressOf(team: ExampleTeam, origins: ExampleOrigins): readonly string[] {
  const { traces, fileUpload, stores, identityProvider, mailbox } = origins
  if (team === "storage") return [traces, fileUpload, ...Object.values(stores)]
  return team === "identity" ? [traces, identityProvider.issuer, mailbox] : [traces]
}

/** The identity provider that people log in with: its id in the dispatch config, and in every session that began there. */
export const LOGIN_IDP = "identity-provider"

const bearer = { mode: "required", issuers: [EXAMPLE_ISSUER_ID] } as const
/** Apps bring a token, people their session; a browser that has neither is sent to log in. */
const bearerOrSession = {
  mode: "required",
  issuers: [EXAMPLE_ISSUER_ID, LOGIN_IDP],
  accept: ["bearer", "session"],
  login: "/login/start",
} as const

/**
 * For payments a session must have been begun with two factors, and revocations are known or it waits. Every hostname that leads to a cell asks it of their path: one that did not would be a way
 * around, were it through the router and a sibling dispatch. A script that does nothing else would ask it itself, by its `access`, and then of every way at once; the gateway serves other paths too.
 */
const twoFactors = {
  mode: "required",
  issuers: [LOGIN_IDP],
  accept: ["session"],
  minLevel: 2,
  sensitive: true,
} as const
const payments = { path: "/rest/v1.0/payments/*", team: "edge-routing", auth: twoFactors } as const

/** `PUT /v1/routes/{id}` bodies. `open` lets other teams attach more specific paths. */
export const ROUTES = {
  "api-front-door": { hostname: "api.procore.com", path: "/*", script: "router", team: "edge-routing", auth: bearer },
  "app-us01": {
    hostname: "app.procore.com",
    path: "/*",
    script: "gateway",
    team: "edge-routing",
    zone: "us01",
    auth: bearerOrSession,
    open: true,
  },
  // Elsewhere nobody logs in, and so nobody pays.
  "api-payments": { ...payments, hostname: "api.procore.com", script: "router" },
  "app-us01-payments": {
    ...payments,
    hostname: "app.procore.com",
    script: "gateway",
    zone: "us01",
    auth: { ...twoFactors, login: "/login/start" },
  },
  "app-us02-payments": { ...payments, hostname: "us02.procore.com", script: "gateway", zone: "us02" },
  "app-uk01-payments": { ...payments, hostname: "app.uk01.procore.com", script: "gateway", zone: "uk01" },
  "app-webclients": {
    hostname: "app.procore.com",
    path: "/webclients/*",
    script: "pages",
    team: "web",
    auth: { mode: "none" },
  },
  "app-us02": {
    hostname: "us02.procore.com",
    path: "/*",
    script: "gateway",
    team: "edge-routing",
    zone: "us02",
    auth: bearer,
  },
  "app-uk01": {
    hostname: "app.uk01.procore.com",
    path: "/*",
    script: "gateway",
    team: "edge-routing",
    zone: "uk01",
    auth: bearer,
  },
} as const

/** `PUT /v1/routes/{id}` bodies of the Workers with origins of their own. */
export const ORIGIN_ROUTES = {
  // Nobody need show a credential here, since the URL itself is signed; one that comes and is wrong is refused all the same.
  uploads: {
    hostname: "storage.procore.com",
    path: "/rest/v2.1/*",
    script: "files",
    team: "storage",
    auth: { mode: "optional", issuers: [EXAMPLE_ISSUER_ID] },
  },
  // Who comes with a session may log out; who comes without may log in.
  login: {
    hostname: "app.procore.com",
    path: "/login/*",
    script: "login",
    team: "identity",
    auth: { mode: "optional", issuers: [LOGIN_IDP], accept: ["session"], login: "/login/start" },
  },
  sessions: {
    hostname: "app.procore.com",
    path: "/sessions/*",
    script: "sessions",
    team: "identity",
    auth: { mode: "required", issuers: [EXAMPLE_ISSUER_ID, LOGIN_IDP], accept: ["bearer", "session", "service-key"] },
  },
  // A security event is a credential itself, and its sender has no other.
  "session-events": {
    hostname: "app.procore.com",
    path: "/sessions/events",
    script: "sessions",
    team: "identity",
    auth: { mode: "none" },
  },
  documents: {
    hostname: "app.procore.com",
    path: "/documents/*",
    script: "ecrion",
    team: "documents",
    auth: bearerOrSession,
  },
} as const

/** Company ids are text: the last one is 2^53 + 1, which a JavaScript number cannot hold. */
export const COMPANIES = { "100": "us01", "200": "us02", "300": "uk01", "9007199254740993": "us02" } as const

/** Who may log in with a PIN by e-mail, and as whom; addresses of the example's mailbox. */
export const PIN_ADDRESSES = {
  "alice@example.com": { idp: LOGIN_IDP, subject: "alice", company: "100", scopes: ["projects:read"] },
  "bob@example.com": { idp: LOGIN_IDP, subject: "bob", company: "100", scopes: ["projects:read"] },
}

export const ALICE = { subject: "alice", company: "100", scope: "projects:read" } satisfies TokenRequest

/** The policy sections that ops write, for the platform as it runs now; with `origins`, for what stands behind it besides the cells. */
export function policyFor(platform: Platform, origins?: ExampleOrigins): Readonly<Record<string, unknown>> {
  const cellOrigins = ZONES.map((zone) => [`cell:${zone}`, { origins: [platform.cells[zone]] }])
  return {
    audiences: { ...Object.fromEntries(cellOrigins), ...(origins === undefined ? {} : audiencesOf(origins)) },
    // On a laptop every request may be looked at afterwards.
    ...(origins === undefined ? {} : { tracing: { incoming: "restart", sampleBps: 10_000 } }),
    directory: {
      zones: {
        us01: { audience: "cell:us01", baseUrl: "https://app.procore.com" },
        us02: { audience: "cell:us02", baseUrl: "https://us02.procore.com" },
        uk01: { audience: "cell:uk01", baseUrl: "https://app.uk01.procore.com" },
      },
      companies: COMPANIES,
    },
    issuers: {
      [EXAMPLE_ISSUER_ID]: {
        issuer: EXAMPLE_ISSUER,
        audiences: [EXAMPLE_AUDIENCE],
        algorithms: ["ES256"],
        jwks: platform.issuerJwks,
        companyClaim: EXAMPLE_COMPANY_CLAIM,
      },
      ...(origins === undefined ? {} : { [LOGIN_IDP]: loginIssuer(origins.identityProvider) }),
    },
    screen: {
      tls: { mode: "enforce" },
      // On a laptop one address makes all requests of a load test.
      brake: { mode: "log" },
      methods: { mode: "enforce", allow: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] },
      size: { mode: "enforce" },
      addresses: { mode: "enforce" },
      countries: { mode: "enforce" },
      asns: { mode: "enforce" },
    },
  }
}

/** Sessions go by its name. Its id tokens are for the login Worker, so that none of them is a bearer token here. */
export function loginIssuer({ issuer, jwks }: ExampleOrigins["identityProvider"]) {
  return {
    issuer,
    audiences: [EXAMPLE_AUDIENCE],
    algorithms: ["ES256"],
    jwks,
    jwksUri: `${issuer}/jwks`,
    companyClaim: COMPANY_CLAIM,
  }
}

function audiencesOf(origins: ExampleOrigins): Record<string, { readonly origins: readonly string[] }> {
  return {
    ...Object.fromEntries(ZONES.map((zone) => [`fus:${zone}`, { origins: [origins.fileUpload] }])),
    "ecrion:legacy": { origins: [origins.legacyService] },
    "ecrion:new": { origins: [origins.newService] },
  }
}
