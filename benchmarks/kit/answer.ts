/** What both arms answer, and with what they are asked. */

export const PATH = "/rest/v1.0/companies/42/projects"
export const SCRIPT = "bench"
export const COMPANY = "42"
export const ORIGIN = "https://app.example.com"
export const ANSWER = '{"projects":[]}'
export const FLAG = "bench"
