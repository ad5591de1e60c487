/**
 * The multipart form by which one version becomes a script of the namespace: the team's modules and settings, and what the platform adds to every one of them.
 * The form is that of wrangler: `metadata` as a plain field, each module a file whose filename is the module's name.
 */
import type { Manifest, ManifestBinding, ModuleKind } from "../../../contracts/manifest.ts"
import type { PlatformProps } from "../../../contracts/platform.ts"
import { MultipartForm } from "./multipart-form.ts"

const TYPE_OF_KIND: Readonly<Record<ModuleKind, string>> = {
  esm: "application/javascript+module",
  cjs: "application/javascript",
  text: "text/plain",
  data: "application/octet-stream",
  wasm: "application/wasm",
  sourcemap: "application/source-map",
}

export interface FormParts {
  readonly manifest: Manifest
  /** Secrets opened. */
  readonly bindings: readonly ManifestBinding[]
  readonly modules: readonly { readonly name: string; readonly kind: ModuleKind; readonly bytes: ArrayBuffer }[]
  readonly props: PlatformProps
  readonly dispatcherService: string
  readonly tags: readonly string[]
  /** Completion token of the assets upload, or null. */
  readonly assetsToken: string | null
}

export function uploadForm(parts: FormParts): MultipartForm {
  const { manifest } = parts
  const metadata = {
    ...manifest.settings,
    ...(manifest.mainModule === null ? {} : { main_module: manifest.mainModule, bindings: bindingsOf(parts) }),
    compatibility_date: manifest.compatibilityDate,
    compatibility_flags: manifest.compatibilityFlags,
    tags: parts.tags,
    // A version is complete: nothing of an earlier upload under this name may survive in it.
    keep_bindings: [],
    ...(manifest.assets === null || parts.assetsToken === null
      ? {}
      : { assets: { jwt: parts.assetsToken, config: manifest.assets.config } }),
  }
  return new MultipartForm([
    { name: "metadata", file: null, content: new TextEncoder().encode(JSON.stringify(metadata)) },
    ...parts.modules.map(({ name, kind, bytes }) => ({
      name,
      file: { name, type: TYPE_OF_KIND[kind] },
      content: new Uint8Array(bytes),
    })),
  ])
}

/** The platform binding's props are how the dispatcher knows the caller; user code can neither read nor forge them. */
export function platformBinding(props: PlatformProps, service: string): ManifestBinding {
  return { type: "service", name: "PLATFORM", service, entrypoint: "Platform", props }
}

function bindingsOf({ bindings, props, dispatcherService }: FormParts): ManifestBinding[] {
  return [...bindings, platformBinding(props, dispatcherService)]
}
