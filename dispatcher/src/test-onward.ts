/** For tests: what goes on of what came, by both ways of making it, which have to agree. */
import { CONFIG_HEADER, PASSPORT_HEADER, REQUEST_ID_HEADER } from "../../contracts/reserved-headers.ts"
import { TRACEPARENT_HEADER } from "../../contracts/trace-context.ts"
import { type GatewayStatement, type OnwardSource, onwardHeaders } from "./edge/onward-headers.ts"

const TRACE = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  isSampled: false,
  isContinued: false,
}

export const STATEMENT: GatewayStatement = { passport: "ours", trace: TRACE, configRevision: 7, beginsSessions: false }

export interface StatementInTest {
  readonly isContinued?: boolean
  readonly beginsSessions?: boolean
}

/** Headers by name, without what the gateway itself says. Throws when that is not as it should be, or the two ways differ. */
export function onwardFrom(
  source: OnwardSource,
  { isContinued = false, beginsSessions = false }: StatementInTest = {},
) {
  const statement: GatewayStatement = { ...STATEMENT, trace: { ...TRACE, isContinued }, beginsSessions }
  const made = entriesOf(onwardHeaders(source, statement))
  // Always possible, and what is meant: the record is the shorter way to it.
  same(made, entriesOf(onwardHeaders({ ...source, isSayableAsText: false }, statement)))
  const { [REQUEST_ID_HEADER]: id, [CONFIG_HEADER]: revision, ...others } = made
  const { [TRACEPARENT_HEADER]: traceparent, [PASSPORT_HEADER]: passport, ...rest } = others
  same([id, revision, traceparent, passport], [source.requestId, "7", `00-${TRACE.traceId}-${TRACE.spanId}-00`, "ours"])
  return rest
}

function entriesOf(headers: HeadersInit): Record<string, string> {
  // As the runtime reads it for a dispatch. fromEntries defines `__proto__` as a name like any. Two empty lines join to `, `, and no blank ends a value.
  return Object.fromEntries([...new Headers(headers)].map(([name, value]) => [name, value.trim()]))
}

/** Headers come sorted by name. */
function same(made: object, expected: object): void {
  const [is, shouldBe] = [JSON.stringify(made), JSON.stringify(expected)]
  if (is !== shouldBe) throw new Error(`${is} should be ${shouldBe}`)
}
