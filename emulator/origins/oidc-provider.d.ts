/** Of oidc-provider, which brings no types, what identity-provider.ts uses. */
declare module "oidc-provider" {
  import type { IncomingMessage, ServerResponse } from "node:http"

  export interface InteractionDetails {
    readonly uid: string
    readonly params: Readonly<Record<string, unknown>>
  }
  /** Of Koa's context. */
  export interface Context {
    readonly oidc: {
      readonly provider: Provider
      readonly client: { readonly clientId: string }
      readonly session: {
        readonly accountId: string
        readonly acr?: string
        grantIdFor(clientId: string): string | undefined
      }
      readonly params: Readonly<Record<string, unknown>>
      readonly result?: { readonly login?: unknown }
    }
    type: string
    body: unknown
  }
  export class Grant {
    constructor(of: { clientId: string; accountId: string })
    addOIDCScope(scope: string): void
    save(): Promise<string>
    static find(id: string): Promise<Grant | undefined>
  }
  // biome-ignore lint/style/noDefaultExport: the package has it so
  export default class Provider {
    constructor(issuer: string, configuration: object)
    readonly Grant: typeof Grant
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<InteractionDetails>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: object,
      options?: { mergeWithLastSubmission?: boolean },
    ): Promise<void>
    on(event: string, listener: (...values: readonly unknown[]) => void): this
  }
  // biome-ignore lint/style/noNamespace: the package exports an object with a class in it
  export namespace interactionPolicy {
    class Check {
      static readonly REQUEST_PROMPT: boolean
      static readonly NO_NEED_TO_PROMPT: boolean
      constructor(reason: string, description: string, check: (context: Context) => boolean)
    }
    function base(): { get(name: string): { readonly checks: { add(check: Check): void } } }
  }
}
