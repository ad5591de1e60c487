/** The `ratelimit` binding of a user Worker: fixed wall-clock windows, as Miniflare's own; one count per namespace id, as production's. */
import { WorkerEntrypoint } from "cloudflare:workers"
import type { BrakeProps } from "../doors.ts"

interface Window {
  readonly startedAtS: number
  readonly counts: Map<string, number>
}

const windows = new Map<string, Window>()

export class BrakeDoor extends WorkerEntrypoint<unknown, BrakeProps> {
  async call(_method: string, args: readonly unknown[]): Promise<{ success: boolean }> {
    const { id, limit, periodS } = this.ctx.props
    const [{ key = "" } = {}] = args as [{ readonly key?: string }?]
    const nowS = Date.now() / 1000
    const startedAtS = nowS - (nowS % periodS)
    let window = windows.get(id)
    if (window?.startedAtS !== startedAtS) {
      window = { startedAtS, counts: new Map() }
      windows.set(id, window)
    }
    const count = (window.counts.get(key) ?? 0) + 1
    window.counts.set(key, count)
    return { success: count <= limit }
  }
}
