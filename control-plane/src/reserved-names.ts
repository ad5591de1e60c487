/**
 * Script names that no team may take by itself: words by which a visitor, an operator or a tool would take the script for the platform.
 * Ops may assign one to a team (`PUT /v1/scripts/{script}` with `team`). Names beginning with `sallyport` are no script names at all.
 */
const RESERVED: ReadonlySet<string> = new Set([
  // Read by people as the platform or its staff
  ...["account", "accounts", "admin", "administrator", "billing", "console", "dashboard", "help", "internal"],
  ...["official", "operator", "ops", "payment", "payments", "platform", "root", "security", "staff", "status"],
  ...["superuser", "support", "system", "verify", "www"],
  // Where people or programs hand over credentials
  ...["auth", "authentication", "callback", "credential", "credentials", "identity", "login", "logout", "mfa"],
  ...["oauth", "oidc", "passport", "passports", "password", "register", "reset", "saml", "secret", "secrets"],
  ...["session", "sessions", "sign-in", "sign-up", "signin", "signup", "sso", "token", "tokens"],
  // Parts of the platform and its paths
  ...["api", "assets", "cdn", "cloudflare", "control-plane", "dispatch", "dispatcher", "docs", "edge", "emulator"],
  ...["explain", "health", "jwks", "kit", "metrics", "namespace", "openapi", "outbound", "static", "well-known"],
  ...["worker", "workers", "wrangler"],
  // Read by programs as something else
  ...["constructor", "default", "false", "localhost", "null", "true", "undefined"],
])

/** True when only ops may give this name away. */
export function isReservedName(name: string): boolean {
  return RESERVED.has(name)
}
