/**
 * Every error that the local Cloudflare API answers: code, HTTP status and the words production uses.
 * `source` says how we know: `live` = captured from the real API and published, `spec` = Cloudflare's OpenAPI description,
 * `docs` = its documentation, `client` = read from wrangler, `seen` = in public issues or logs, `ours` = our choice, production's is unknown.
 */

interface ErrorKind {
  readonly code: number
  /** HTTP status. */
  readonly status: number
  readonly message: string
  readonly source: "live" | "spec" | "docs" | "client" | "seen" | "ours"
}

export const ERRORS = {
  authentication: { code: 10000, status: 403, message: "Authentication error", source: "live" },
  tokenInvalid: { code: 1000, status: 401, message: "Invalid API Token", source: "seen" },
  noRoute: {
    code: 7003,
    status: 404,
    message: "Could not route to this path, perhaps your object identifier is invalid?",
    source: "seen",
  },
  rateLimited: {
    code: 971,
    status: 429,
    message: "Please wait and consider throttling your request speed",
    source: "seen",
  },
  unknown: { code: 10013, status: 500, message: "An unknown error has occurred.", source: "seen" },
  malformed: { code: 6003, status: 400, message: "Invalid request body", source: "ours" },

  scriptMissing: { code: 10007, status: 404, message: "This Worker does not exist on your account.", source: "client" },
  serviceMissing: { code: 10090, status: 404, message: "workers.api.error.service_not_found", source: "client" },
  namespacedScriptMissing: {
    code: 10092,
    status: 404,
    message: "workers.api.error.environment_not_found",
    source: "client",
  },
  namespaceMissing: {
    code: 100119,
    status: 404,
    message: "The specified dispatch namespace does not exist on this account.",
    source: "live",
  },
  namespaceExists: {
    code: 100120,
    status: 409,
    message: "A dispatch namespace with this name already exists on this account.",
    source: "seen",
  },

  validation: { code: 10021, status: 400, message: "The uploaded script is not valid.", source: "live" },
  tooLarge: {
    code: 10027,
    status: 400,
    message:
      "Your Worker exceeded the size limit of 10 MiB. Refer to the Workers documentation (https://developers.cloudflare.com/workers/observability/errors/#errors-on-worker-upload) for more details.",
    source: "seen",
  },
  nameInUse: {
    code: 10053,
    status: 400,
    message: "Binding name already in use. Please use a different name and try again.",
    source: "seen",
  },
  secretMissing: { code: 10056, status: 404, message: "Binding not found", source: "seen" },
  inheritUnresolved: {
    code: 10057,
    status: 400,
    message: "An inherited binding does not exist on the previous version of the Worker.",
    source: "client",
  },
  classMissing: {
    code: 10061,
    status: 400,
    message: "Cannot create binding for a class that is not exported by the script.",
    source: "live",
  },
  noHandlers: {
    code: 10068,
    status: 400,
    message: "The uploaded script has no registered event handlers.",
    source: "seen",
  },
  migrationTag: { code: 10079, status: 412, message: "Actor migration tag precondition failed.", source: "seen" },
  exportsUnreconciled: {
    code: 100402,
    status: 400,
    message: "The declared exports do not match the Worker.",
    source: "spec",
  },
  kvNamespaceNotBound: { code: 10041, status: 400, message: "KV namespace not found.", source: "live" },
  bucketNotBound: { code: 10085, status: 400, message: "R2 bucket not found.", source: "live" },
  siblingNotBound: {
    code: 10143,
    status: 400,
    message: "Service binding references a Worker which was not found.",
    source: "live",
  },
  serviceNotBound: {
    code: 10144,
    status: 400,
    message: "Service binding references a Worker which was not found.",
    source: "live",
  },
  hyperdriveNotBound: {
    code: 10157,
    status: 400,
    message: "Hyperdrive binding references a config which was not found.",
    source: "live",
  },
  vectorizeNotBound: {
    code: 10159,
    status: 400,
    message: "Vectorize binding references an index which was not found.",
    source: "live",
  },
  databaseNotBound: {
    code: 10181,
    status: 400,
    message: "D1 binding references a database which was not found.",
    source: "live",
  },
  secretStoreNotBound: {
    code: 10182,
    status: 400,
    message: "Secrets Store binding references a secret which was not found.",
    source: "live",
  },
  queueNotBound: {
    code: 11000,
    status: 400,
    message: "Queue not found. Please verify it exists and try again.",
    source: "live",
  },
  certificateNotBound: { code: 100143, status: 400, message: "mTLS certificate not found.", source: "live" },
  namespaceNotBound: {
    code: 100119,
    status: 400,
    message: "The specified dispatch namespace does not exist on this account.",
    source: "live",
  },
  uploadToken: {
    code: 10000,
    status: 401,
    message: "The asset upload token is invalid or has expired.",
    source: "ours",
  },

  workflowMissing: { code: 10200, status: 404, message: "workflow not found", source: "client" },
  kvKeyMissing: { code: 10009, status: 404, message: "key not found", source: "seen" },
  kvNamespaceMissing: { code: 10013, status: 404, message: "namespace not found", source: "seen" },
  kvNamespaceExists: {
    code: 10014,
    status: 400,
    message: "a namespace with this account ID and title already exists",
    source: "client",
  },
  bucketExists: {
    code: 10004,
    status: 409,
    message: "The bucket you tried to create already exists, and you own it.",
    source: "seen",
  },
  bucketMissing: { code: 10006, status: 404, message: "The specified bucket does not exist.", source: "client" },
  objectMissing: { code: 10007, status: 404, message: "The specified key does not exist.", source: "client" },
  bucketNotEmpty: { code: 10008, status: 409, message: "The bucket you tried to delete is not empty.", source: "seen" },
  databaseMissing: { code: 7404, status: 404, message: "The database could not be found.", source: "client" },
  databaseExists: { code: 7502, status: 400, message: "A database with that name already exists.", source: "client" },
  queryFailed: { code: 7500, status: 400, message: "The query failed.", source: "seen" },
  queueMissing: {
    code: 11000,
    status: 404,
    message: "Queue not found. Please verify it exists and try again.",
    source: "live",
  },
  queueExists: {
    code: 11009,
    status: 409,
    message: "Queue name is already taken. Please use a different name and try again.",
    source: "seen",
  },
} as const satisfies Record<string, ErrorKind>

export type ErrorName = keyof typeof ERRORS
