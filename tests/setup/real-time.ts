/** Runs before each file of the Worker projects: files share an isolate, and one that holds the clock still must not do so for the next. */
import { vi } from "vitest"

vi.useRealTimers()
