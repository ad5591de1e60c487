/** Runs before each file of the Worker projects, which may share an isolate: none finds timers, spies, stubs or the fetch of another. */
import { vi } from "vitest"

const ORIGINAL_FETCH = Symbol.for("sallyport.original-fetch")
const isolate = globalThis as { [ORIGINAL_FETCH]?: typeof fetch }

vi.useRealTimers()
vi.restoreAllMocks()
vi.unstubAllGlobals()
isolate[ORIGINAL_FETCH] ??= globalThis.fetch
if (globalThis.fetch !== isolate[ORIGINAL_FETCH]) throw new Error("A test file before this one left its own fetch here")
