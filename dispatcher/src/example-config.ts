/** A small valid dispatch config for tests: one hostname, one script with one version, one issuer. Imported by tests only. */
import { type DispatchConfig, dispatchConfigSchema } from "../../contracts/dispatch-config.ts"

/** The config with `changes` laid over it at the top level; throws when the result does not have the schema's shape. */
export function exampleConfig(changes: Partial<DispatchConfig> = {}): DispatchConfig {
  return {
    ...dispatchConfigSchema.parse({
      format: 1,
      revision: 1,
      publishedAt: "2026-01-01T00:00:00Z",
      passportIssuer: "https://sallyport.example",
      screen: {
        tls: { mode: "enforce", whenUnknown: "allow" },
        methods: { mode: "enforce", allow: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] },
        size: { mode: "enforce" },
        addresses: { mode: "enforce" },
        countries: { mode: "enforce" },
        asns: { mode: "enforce" },
        brake: { mode: "off" },
      },
      issuers: {
        "example-idp": {
          issuer: "https://idp.example",
          audiences: ["https://api.example.com"],
          algorithms: ["ES256"],
          companyClaim: "company",
          jwks: { keys: [EXAMPLE_PUBLIC_KEY] },
        },
      },
      hostnames: {
        "api.example.com": {
          routes: [
            {
              id: "files",
              path: "/files/*",
              script: "files",
              team: "storage",
              auth: { mode: "required", issuers: ["example-idp"] },
            },
            { id: "open", path: "/open/*", script: "files", team: "storage", auth: { mode: "none" } },
          ],
        },
      },
      scripts: { files: { team: "storage", releases: [{ version: 1, weightBps: 10_000 }] } },
      teams: { storage: { egress: ["https://origin.example"], grants: ["audience:cell:us01"] } },
      audiences: { "cell:us01": { origins: ["https://cell.example"] } },
      directory: {
        zones: { us01: { audience: "cell:us01", baseUrl: "https://app.example.com" } },
        companies: { "42": "us01" },
      },
      flags: {},
    }),
    ...changes,
  }
}

/** Public half of a key pair made for these tests alone. */
export const EXAMPLE_PUBLIC_KEY = {
  kty: "EC",
  crv: "P-256",
  kid: "example-1",
  alg: "ES256",
  x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
  y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
} as const
