/** The dispatch config of the benchmark: 200 hostnames with five routes each, all checks on, a bearer token required. */
import { CONFIG_FORMAT, type DispatchConfig, dispatchConfigSchema } from "../../contracts/dispatch-config.ts"

export const HOSTNAME = "api.procore.com"
export const ISSUER = { id: "example-idp", issuer: "https://idp.example", audience: "https://api.example.com" }
const HOSTNAMES = 200
const PATHS = ["/*", "/rest/*", "/rest/v1.0/*", "/rest/v2.1/uploads/*", "/company_base_url"]

/** `publicKey`: the JWK that the bearer token is verified with. */
export function benchConfig(publicKey: object): DispatchConfig {
  return dispatchConfigSchema.parse({
    format: CONFIG_FORMAT,
    revision: 1,
    publishedAt: "2026-01-01T00:00:00Z",
    passportIssuer: "https://sallyport.example",
    screen: {
      tls: { mode: "enforce" },
      methods: { mode: "enforce", allow: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] },
      size: { mode: "enforce" },
      addresses: { mode: "enforce", deny: ["192.0.2.0/24", "2001:db8::/32"] },
      countries: { mode: "enforce", deny: ["T1"] },
      asns: { mode: "enforce", deny: [64_496, 64_511] },
      brake: { mode: "enforce" },
    },
    issuers: {
      [ISSUER.id]: {
        issuer: ISSUER.issuer,
        audiences: [ISSUER.audience],
        algorithms: ["ES256"],
        companyClaim: "company",
        jwks: { keys: [publicKey] },
      },
    },
    hostnames: Object.fromEntries(
      Array.from({ length: HOSTNAMES }, (_, index) => [
        index === 0 ? HOSTNAME : `h${index}.example.com`,
        { routes: PATHS.map((path, at) => routeOf(`r${index}-${at}`, path)) },
      ]),
    ),
    scripts: { empty: { team: "web", releases: [{ version: 1, weightBps: 10_000 }] } },
    teams: { web: { egress: ["https://cell.example"], grants: ["audience:cell:us01"] } },
    audiences: { "cell:us01": { origins: ["https://cell.example"] } },
    directory: {
      zones: { us01: { audience: "cell:us01", baseUrl: "https://app.example.com" } },
      companies: { "42": "us01" },
    },
    flags: {},
  })
}

function routeOf(id: string, path: string) {
  return {
    id,
    path,
    script: "empty",
    team: "web",
    auth: { mode: "required", issuers: [ISSUER.id], scopes: ["read"] },
  }
}
