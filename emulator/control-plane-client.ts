/** The few calls to the control plane's `/v1` that the starter, the seed and `sallyport/testing` make. The command line has a fuller client of its own. */

/** A refusal of the control plane, with its problem code. */
export class ApiError extends Error {
  override readonly name = "ApiError"
  readonly status: number
  /** From contracts/problem-codes.ts; null when the answer was no problem document. */
  readonly code: string | null

  constructor(what: string, status: number, code: string | null, detail: string) {
    super(`${what}: ${status} ${code ?? ""} ${detail}`.trim())
    this.status = status
    this.code = code
  }
}

export interface ControlPlaneClient {
  get<T>(path: string): Promise<T>
  put<T>(path: string, body: unknown): Promise<T>
  post<T>(path: string, body: unknown): Promise<T>
  delete(path: string): Promise<void>
}

/** `path` begins with `/v1/`. Every answer outside 2xx is thrown as {@link ApiError}. */
export function controlPlaneClient(controlPlaneUrl: string, token: string): ControlPlaneClient {
  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(new URL(path, controlPlaneUrl), {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw errorOf(`${method} ${path}`, response.status, text)
    return text === "" ? null : JSON.parse(text)
  }
  return {
    get: async <T>(path: string) => (await call("GET", path)) as T,
    put: async <T>(path: string, body: unknown) => (await call("PUT", path, body)) as T,
    post: async <T>(path: string, body: unknown) => (await call("POST", path, body)) as T,
    delete: async (path) => void (await call("DELETE", path)),
  }
}

function errorOf(what: string, status: number, text: string): ApiError {
  try {
    const { code, detail, errors } = JSON.parse(text) as { code: string; detail: string; errors?: unknown }
    return new ApiError(what, status, code, errors === undefined ? detail : `${detail} ${JSON.stringify(errors)}`)
  } catch {
    return new ApiError(what, status, null, text.slice(0, 500))
  }
}
