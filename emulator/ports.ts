/**
 * The loopback ports of the platform: their defaults (docs/architecture.md), whether they are free, and free ones for throw-away platforms.
 * Used by emulator/platform.ts and by the options of emulator/start.ts.
 */
import { createServer } from "node:net"

export const PORTS = {
  edge: { default: 8787, what: "the edge" },
  controlPlane: { default: 8788, what: "the control plane" },
  cloudflareApi: { default: 8789, what: "the local Cloudflare API" },
  us01: { default: 8790, what: "the example cell us01" },
  us02: { default: 8791, what: "the example cell us02" },
  uk01: { default: 8792, what: "the example cell uk01" },
  issuer: { default: 8793, what: "the example issuer of bearer tokens" },
} as const

/** Of what stands behind the edge in the example of `npm start`, and of the collector of its traces. */
export const ORIGIN_PORTS = {
  fileUpload: { default: 8794, what: "the example file upload service" },
  s3: { default: 8795, what: "the example S3 store" },
  azure: { default: 8796, what: "the example Azure store" },
  gcs: { default: 8797, what: "the example GCS store" },
  legacyService: { default: 8798, what: "the example service that is being replaced" },
  newService: { default: 8799, what: "the example service that replaces it" },
  traces: { default: 8800, what: "the collector of traces" },
  identityProvider: { default: 8801, what: "the identity provider that people log in with" },
  mailbox: { default: 8802, what: "the mailbox" },
} as const

export type PortName = keyof typeof PORTS
export type OriginPortName = keyof typeof ORIGIN_PORTS
export type Ports = Record<PortName, number>
export const PORT_NAMES = Object.keys(PORTS) as readonly PortName[]
export type OriginPorts = Record<OriginPortName, number>
export const ORIGIN_PORT_NAMES = Object.keys(ORIGIN_PORTS) as readonly OriginPortName[]
type PortTable<Name extends string> = Readonly<Record<Name, { readonly default: number; readonly what: string }>>

/** The option of `npm start` that moves a port: `--port-control-plane`. */
export function portOption(name: PortName | OriginPortName): string {
  return `--port-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

export class PortTakenError extends Error {
  override readonly name = "PortTakenError"
}

/**
 * The ports to use: those asked for, defaults for the rest, a free one for each 0. Nothing listens on them yet.
 * Throws PortTakenError that names every taken port and the option that moves it.
 */
export function choosePorts(wanted: Partial<Ports>): Promise<Ports> {
  return choose(wanted, PORTS)
}

/** As {@link choosePorts}, for the platform and the example's origins together. */
export function chooseAllPorts(wanted: Partial<Ports & OriginPorts>): Promise<Ports & OriginPorts> {
  return choose(wanted, { ...PORTS, ...ORIGIN_PORTS })
}

async function choose<Name extends PortName | OriginPortName>(
  wanted: Partial<Record<Name, number>>,
  table: PortTable<Name>,
): Promise<Record<Name, number>> {
  const names = Object.keys(table) as Name[]
  const chosen = {} as Record<Name, number>
  const taken: string[] = []
  for (const name of names) {
    const port = wanted[name] ?? table[name].default
    if (port !== 0) chosen[name] = port
    if (port !== 0 && !(await isFree(port)))
      taken.push(`  port ${port} of ${table[name].what}; move it with ${portOption(name)} <port>`)
  }
  const twice = names.filter((name) =>
    names.some((other) => other !== name && chosen[name] !== undefined && chosen[other] === chosen[name]),
  )
  for (const name of twice) taken.push(`  port ${chosen[name]} is given twice; move ${portOption(name)} <port>`)
  if (taken.length > 0) {
    throw new PortTakenError(
      `Taken by another program (perhaps a platform that is already running):\n${taken.join("\n")}`,
    )
  }
  const rest = names.filter((name) => chosen[name] === undefined)
  const free = await freePorts(rest.length, Object.values(chosen))
  for (const [index, name] of rest.entries()) chosen[name] = free[index] ?? 0
  return chosen
}

/**
 * Below those that systems give out by themselves (Linux from 32768 on, others from 49152), where any connection that somebody opens could take a port between its choice
 * and its use; above 10080, which no `fetch` opens (Fetch, "bad port"). In blocks: a process has one to itself as long as it holds the block's first port, and the system lets that go when the process ends, however it ends.
 */
const FIRST_PORT = 10_100
const BLOCK_PORTS = 100
const BLOCKS = 220
interface Block {
  readonly first: number
  /** The one after the port given last; 0 is held. */
  next: number
}
let ownBlock: Promise<Block> | undefined

/** Different ones, none of `except`, and none that another process is given here; again only after all others of the block. Nothing listens on them yet. Throws PortTakenError when there are not that many. */
export async function freePorts(count: number, except: readonly number[] = []): Promise<number[]> {
  if (count === 0) return []
  ownBlock ??= takeBlock().catch((error: unknown) => {
    ownBlock = undefined
    throw error
  })
  const block = await ownBlock
  const ports: number[] = []
  for (let tried = 1; tried < BLOCK_PORTS && ports.length < count; tried++) {
    block.next = (block.next % (BLOCK_PORTS - 1)) + 1
    const port = block.first + block.next
    if (!except.includes(port) && (await isFree(port))) ports.push(port)
  }
  if (ports.length < count) throw new PortTakenError(`Fewer than ${count} ports are free from ${block.first} on.`)
  return ports
}

async function takeBlock(): Promise<Block> {
  for (let tried = 0; tried < BLOCKS; tried++) {
    const first = FIRST_PORT + ((process.pid + tried) % BLOCKS) * BLOCK_PORTS
    const guard = await hold(first).catch(() => null)
    guard?.unref()
    if (guard !== null) return { first, next: 0 }
  }
  throw new PortTakenError(`All blocks of ports from ${FIRST_PORT} on are taken.`)
}

async function isFree(port: number): Promise<boolean> {
  try {
    const server = await hold(port)
    await new Promise((resolve) => server.close(resolve))
    return true
  } catch {
    return false
  }
}

async function hold(port: number): Promise<ReturnType<typeof createServer>> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => resolve(server))
  })
}
