/**
 * The example company of the laptop: teams, hostnames, routes, zones and companies, as plain data. Put in by emulator/seed.ts.
 * Hostnames are those of the case that Sallyport was built for; people, companies and teams are examples.
 */
import type { TokenRequest } from "./cells/issuer.ts"
import { EXAMPLE_AUDIENCE, EXAMPLE_COMPANY_CLAIM, EXAMPLE_ISSUER, EXAMPLE_ISSUER_ID } from "./cells/issuer.ts"
import type { ExampleOrigins } from "./example-origins.ts"
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
}

/** Settings of scripts beside their team. An upload may take minutes, and its digest some CPU. */
export const SCRIPT_SETTINGS: Readonly<Record<string, object>> = {
  files: { timeoutMs: 300_000, limits: { cpuMs: 30_000, subRequests: 50 } },
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
  return team === "storage" ? [origins.traces, ...Object.values(origins.stores)] : [origins.traces]
}

const bearer = { mode: "required", issuers: [EXAMPLE_ISSUER_ID] } as const

/** `PUT /v1/routes/{id}` bodies. `open` lets other teams attach more specific paths. */
export const ROUTES = {
  "api-front-door": { hostname: "api.procore.com", path: "/*", script: "router", team: "edge-routing", auth: bearer },
  "app-us01": {
    hostname: "app.procore.com",
    path: "/*",
    script: "gateway",
    team: "edge-routing",
    zone: "us01",
    auth: bearer,
    open: true,
  },
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
  // Nobody shows a credential here: the URL itself is signed.
  uploads: {
    hostname: "storage.procore.com",
    path: "/rest/v2.1/*",
    script: "files",
    team: "storage",
    auth: { mode: "none" },
  },
  documents: { hostname: "app.procore.com", path: "/documents/*", script: "ecrion", team: "documents", auth: bearer },
} as const

/** Company ids are text: the last one is 2^53 + 1, which a JavaScript number cannot hold. */
export const COMPANIES = { "100": "us01", "200": "us02", "300": "uk01", "9007199254740993": "us02" } as const

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

function audiencesOf(origins: ExampleOrigins): Record<string, { readonly origins: readonly string[] }> {
  return {
    ...Object.fromEntries(ZONES.map((zone) => [`fus:${zone}`, { origins: [origins.fileUpload] }])),
    "ecrion:legacy": { origins: [origins.legacyService] },
    "ecrion:new": { origins: [origins.newService] },
  }
}
