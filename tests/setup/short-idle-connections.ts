/**
 * Runs before the tests in Node. workerd ends an idle connection after five seconds, and Node's `fetch` keeps one for four and up to a second more:
 * whoever sends in that moment gets a reset. On a busy machine the moment is long.
 */
import { Agent, setGlobalDispatcher } from "undici"
import { IDLE_MS } from "../../emulator/listen.ts"

setGlobalDispatcher(new Agent({ keepAliveTimeout: IDLE_MS, keepAliveMaxTimeout: IDLE_MS }))
