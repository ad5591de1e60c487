/** OpenID Connect RP-Initiated Logout 1.0: where a person who logs out here goes to log out at the provider too. */
import { metadataOf } from "./provider-documents.ts"
import type { Party } from "./relying-party.ts"

/** Null when the provider has no such endpoint, or cannot be asked: who logs out never waits for a provider that is ill. Without id_token_hint: no token leaves in a URL. */
export async function endSessionUrl({ settings, waitUntil }: Party, back: string): Promise<string | null> {
  const server = await metadataOf(settings, waitUntil).catch(() => null)
  if (server?.end_session_endpoint === undefined) return null
  const url = new URL(server.end_session_endpoint)
  url.searchParams.set("client_id", settings.clientId)
  url.searchParams.set("post_logout_redirect_uri", back)
  return url.href
}
