/** Every operation of `/v1`. What is not in this list does not exist; a test holds the access table to it. */
import { auditList } from "./audit-list.ts"
import { auditVerify } from "./audit-verify.ts"
import { configGet } from "./config-get.ts"
import { configRevisionsDocument } from "./config-revisions-document.ts"
import { configRevisionsGet } from "./config-revisions-get.ts"
import { configRevisionsList } from "./config-revisions-list.ts"
import { deploymentsCreate } from "./deployments-create.ts"
import { deploymentsGet } from "./deployments-get.ts"
import { deploymentsList } from "./deployments-list.ts"
import { explain } from "./explain.ts"
import { hostnamesDelete } from "./hostnames-delete.ts"
import { hostnamesGet } from "./hostnames-get.ts"
import { hostnamesList } from "./hostnames-list.ts"
import { hostnamesPut } from "./hostnames-put.ts"
import { keysList } from "./keys-list.ts"
import { keysRollback } from "./keys-rollback.ts"
import { keysRotate } from "./keys-rotate.ts"
import { noticesList } from "./notices-list.ts"
import type { AnyOperation } from "./operation.ts"
import { pinsCreate } from "./pins-create.ts"
import { policyOperations } from "./policy.ts"
import { revocationsCreate } from "./revocations-create.ts"
import { revocationsList } from "./revocations-list.ts"
import { rollback } from "./rollback.ts"
import { routesDelete } from "./routes-delete.ts"
import { routesGet } from "./routes-get.ts"
import { routesList } from "./routes-list.ts"
import { routesPut } from "./routes-put.ts"
import { scriptsDelete } from "./scripts-delete.ts"
import { scriptsGet } from "./scripts-get.ts"
import { scriptsList } from "./scripts-list.ts"
import { scriptsPut } from "./scripts-put.ts"
import { serviceAccountOperations } from "./service-accounts.ts"
import { statusGet } from "./status-get.ts"
import { teamTokensCreate } from "./team-tokens-create.ts"
import { teamTokensList } from "./team-tokens-list.ts"
import { teamsDelete } from "./teams-delete.ts"
import { teamsGet } from "./teams-get.ts"
import { teamsList } from "./teams-list.ts"
import { teamsPut } from "./teams-put.ts"
import { tokensCreate } from "./tokens-create.ts"
import { tokensList } from "./tokens-list.ts"
import { tokensRevoke } from "./tokens-revoke.ts"
import { versionsGet } from "./versions-get.ts"
import { versionsList } from "./versions-list.ts"
import { versionsUpload } from "./versions-upload.ts"
import { whoami } from "./whoami.ts"

export const operations: readonly AnyOperation[] = [
  whoami,
  ...[teamsList, teamsGet, teamsPut, teamsDelete, teamTokensList, teamTokensCreate],
  ...[tokensList, tokensCreate, tokensRevoke],
  ...[scriptsList, scriptsGet, scriptsPut, scriptsDelete],
  ...[versionsList, versionsGet, versionsUpload],
  ...[deploymentsList, deploymentsGet, deploymentsCreate, rollback, pinsCreate],
  ...[hostnamesList, hostnamesGet, hostnamesPut, hostnamesDelete],
  ...[routesList, routesGet, routesPut, routesDelete],
  noticesList,
  ...policyOperations,
  ...[configGet, configRevisionsList, configRevisionsGet, configRevisionsDocument],
  ...[keysList, keysRotate, keysRollback],
  ...[revocationsList, revocationsCreate, statusGet],
  ...serviceAccountOperations,
  ...[auditList, auditVerify],
  explain,
]
