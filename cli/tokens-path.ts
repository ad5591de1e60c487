/** Where tokens live in the API: a team's under the team, all of them (and those of ops) at the top. */
import { segment } from "./command.ts"

export function tokensPath(team: string | undefined): string {
  return team === undefined ? "/v1/tokens" : `/v1/teams/${segment(team)}/tokens`
}
