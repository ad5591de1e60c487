/**
 * The verify kits that backends copy come to the published verdict on every vector, and keep the gateway's keys as their README says: Node's always, the others' where
 * their runtime is on the machine. What is skipped is said in the test's name.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import path from "node:path"
import { createInterface } from "node:readline"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { listen, type RunningServer } from "../emulator/listen.ts"
import { vectorsDocument } from "../scripts/write-verify-vectors.ts"
import { ROOT } from "./harness.ts"

const KITS = path.join(ROOT, "docs", "verify")
const VECTORS = path.join(KITS, "vectors.json")
const target = mkdtempSync(path.join(tmpdir(), "sallyport-verify-"))
afterAll(() => rmSync(target, { recursive: true }))

interface Vectors {
  readonly issuer: string
  readonly audience: string
  readonly keySets: { readonly usual: { readonly keys: readonly object[] } }
  readonly vectors: readonly { name: string; token: string; now: number; valid: boolean }[]
}
const { issuer, audience, keySets, vectors } = JSON.parse(readFileSync(VECTORS, "utf8")) as Vectors

interface Kit {
  readonly name: string
  /** Ends with 0 where the kit can run. */
  readonly probe: readonly [string, ...string[]]
  readonly needs: string
  run(): string
  /** Compiles what `lines` starts. */
  prepare?(): void
  /** Does what it is told line by line. */
  readonly lines: readonly [string, ...string[]]
  /** So many who bring a key id that is not held wait for a read that another began; who is beyond is refused at once. */
  readonly maxWaiting: number
}

/** Of the kits that hold a thread for each. */
const MAX_THREADS_WAITING = 16

const run = (command: string, args: readonly string[], cwd = ROOT) =>
  execFileSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ...CACHES },
    stdio: ["ignore", "pipe", "pipe"],
  })
/** Nothing is left in the repository or in anybody's home. */
const CACHES = { GOCACHE: path.join(target, "go"), GOFLAGS: "-mod=mod", PYTHONDONTWRITEBYTECODE: "1" }

/** Each compiled once, by whichever test comes first. */
const compiled = new Set<string>()
function once(name: string, compile: () => void): void {
  if (!compiled.has(name)) compile()
  compiled.add(name)
}

const node: Kit = {
  name: "node",
  probe: [process.execPath, "--version"],
  needs: "node",
  run: () => run(process.execPath, [path.join(KITS, "node", "run-vectors.ts"), VECTORS]),
  lines: [process.execPath, path.join(KITS, "node", "verify-lines.ts")],
  maxWaiting: Number.POSITIVE_INFINITY,
}
const others: readonly Kit[] = [
  {
    name: "python",
    probe: ["python3", "-c", "import cryptography"],
    needs: "python3 with cryptography",
    run: () => run("python3", [path.join(KITS, "python", "run_vectors.py"), VECTORS]),
    lines: ["python3", path.join(KITS, "python", "verify_lines.py")],
    maxWaiting: MAX_THREADS_WAITING,
  },
  {
    name: "java",
    probe: ["javac", "-version"],
    needs: "a JDK",
    prepare: () =>
      once("java", () => {
        const files = ["PassportVerifier.java", "RunVectors.java", "VerifyLines.java"]
        const sources = files.map((file) => path.join(KITS, "java", file))
        run("javac", ["-Xlint:all", "-Werror", "--release", "11", "-d", target, ...sources])
      }),
    run: () => run("java", ["-cp", target, "RunVectors", VECTORS]),
    lines: ["java", "-cp", target, "VerifyLines"],
    maxWaiting: MAX_THREADS_WAITING,
  },
  {
    name: "ruby",
    probe: ["ruby", "-ropenssl", "-e", ""],
    needs: "ruby with openssl",
    run: () => run("ruby", [path.join(KITS, "ruby", "run_vectors.rb"), VECTORS]),
    lines: ["ruby", path.join(KITS, "ruby", "verify_lines.rb")],
    maxWaiting: MAX_THREADS_WAITING,
  },
  {
    name: "go",
    probe: ["go", "version"],
    needs: "go",
    prepare: () =>
      once("go", () => {
        run("go", ["build", "-o", path.join(target, "verify-lines"), "./lines"], path.join(KITS, "go"))
      }),
    run: () => run("go", ["test", "-count=1", "-v", "./..."], path.join(KITS, "go")),
    lines: [path.join(target, "verify-lines")],
    maxWaiting: Number.POSITIVE_INFINITY,
  },
]

const canRun = ({ probe: [command, ...args] }: Kit) => spawnSync(command, args, { stdio: "ignore" }).status === 0

const runs = new Set([node, ...others].filter(canRun))

describe("a verify kit comes to the published verdict on every vector", () => {
  const all = `${vectors.length} of ${vectors.length} vectors as they should be`

  for (const kit of [node, ...others])
    if (runs.has(kit))
      it(kit.name, () => {
        kit.prepare?.()
        expect(kit.run()).toContain(`${kit.name}: ${all}`)
      })
    else it.skip(`${kit.name}: NOT RUN, because this machine has no ${kit.needs}`)
})

/** The gateway's key set, which a test may keep from being answered. */
class KeyServer {
  #server: RunningServer | undefined
  #keys: readonly unknown[] = keySets.usual.keys
  #status = 200
  #isHeld = false
  #dripping: ReturnType<typeof setInterval> | undefined
  readonly #open: ServerResponse[] = []
  readonly #waiting: (() => void)[] = []
  reads = 0

  async start(): Promise<void> {
    const server = createServer((_, response) => {
      this.reads++
      this.#open.push(response)
      for (const tell of this.#waiting.splice(0)) tell()
      if (!this.#isHeld) this.release()
    })
    this.#server = await listen(server, 0)
  }
  get url(): string {
    return `${this.#server?.url}/.well-known/jwks.json`
  }
  async stop(): Promise<void> {
    clearInterval(this.#dripping)
    await this.#server?.stop()
  }
  publish(...keys: readonly unknown[]): void {
    this.#keys = keys
  }
  fail(): void {
    this.#status = 503
  }
  recover(): void {
    this.#status = 200
  }
  /** Reads that come from now on are not answered until {@link release}. */
  hold(): void {
    this.#isHeld = true
  }
  get isHeld(): boolean {
    return this.#isHeld
  }
  /** Resolves when so many reads have come. */
  async read(count: number): Promise<void> {
    while (this.reads < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
  /** Reads that wait, as far as whoever asked still does. */
  get held(): number {
    return this.#open.filter((response) => !response.destroyed).length
  }
  release(): void {
    this.#isHeld = false
    for (const response of this.#open.splice(0))
      response.writeHead(this.#status).end(JSON.stringify({ keys: this.#keys }))
  }
  /** Answers those that wait as far as the middle of the body, whose end never comes. */
  trickle(): readonly ServerResponse[] {
    const begun = this.#open.splice(0)
    for (const response of begun) response.writeHead(200, { "content-length": 1000 }).write('{"keys":')
    return begun
  }
  /** Answers those that wait without end: there is always a little more. */
  drip(): void {
    const begun = this.trickle()
    this.#dripping = setInterval(() => {
      for (const response of begun) response.write(" ")
    }, 500)
  }
}

/** A kit in a process of its own, which has one verifier at a time. */
class Running {
  readonly #process: ChildProcess
  readonly #asked = new Map<string, (verdict: string) => void>()
  #count = 0
  /** Names of those that are answered. */
  readonly answered = new Set<string>()

  constructor(kit: Kit) {
    kit.prepare?.()
    const [command, ...args] = kit.lines
    const child = spawn(command, args, { env: { ...process.env, ...CACHES }, stdio: ["pipe", "pipe", "inherit"] })
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, name = "", verdict = ""] = /^(\S+) (.*)$/.exec(line) ?? []
      this.answered.add(name)
      this.#asked.get(name)?.(verdict)
    })
    child.once("exit", () => {
      for (const tell of this.#asked.values()) tell("the process has ended")
    })
    this.#process = child
  }
  #tell = (...words: readonly unknown[]) => this.#process.stdin?.write(`${words.join(" ")}\n`)

  /** A verifier that has read nothing yet. */
  renew(keySetUrl: string): void {
    this.#tell("verifier", issuer, audience, keySetUrl)
    this.clocks(0)
  }
  /** Seconds. `monotonicS` is of the clock that nobody sets. */
  clocks(monotonicS: number, wallS = NOW_S): void {
    this.#tell("clocks", wallS, monotonicS)
  }
  /** Without waiting for those before. Resolves with `accepted`, or why not. */
  verify(passports: string | readonly string[], name = `nameless-${this.#count++}`): Promise<string> {
    this.answered.delete(name)
    const verdict = new Promise<string>((resolve) => this.#asked.set(name, resolve))
    this.#tell("verify", name, ...[passports].flat())
    return verdict
  }
  stop(): void {
    this.#process.kill("SIGKILL")
  }
}

const tokenOf = (wanted: string) => vectors.find(({ name }) => name === wanted)?.token ?? ""
const NOW_S = vectors.find(({ name }) => name === "valid")?.now ?? 0
const GOOD = tokenOf("valid")
const OF_NEXT = tokenOf("valid, by the key that is to sign next")
const INVENTED = tokenOf("unknown kid")
/** More than any number of threads that may wait. */
const MANY = 20
/** Resolves when so many of them are answered. */
async function untilAnswered(count: number, verdicts: readonly Promise<string>[]): Promise<void> {
  let left = count
  await new Promise<void>((resolve) => {
    for (const each of verdicts) void each.then(() => --left <= 0 && resolve())
    if (count === 0) resolve()
  })
}

/** A passport that claims to be signed by this key. */
const by = (kid: string) =>
  [Buffer.from(JSON.stringify({ alg: "ES256", typ: "passport+jwt", kid })).toString("base64url")]
    .concat(GOOD.split(".").slice(1))
    .join(".")

for (const kit of [node, ...others].filter((each) => runs.has(each)))
  describe(`the ${kit.name} kit, of the gateway's keys`, () => {
    let gateway: KeyServer
    let verifier: Running
    beforeAll(() => {
      verifier = new Running(kit)
    })
    afterAll(() => verifier.stop())
    beforeEach(async () => {
      gateway = new KeyServer()
      await gateway.start()
      verifier.renew(gateway.url)
    })
    afterEach(() => gateway.stop())

    it("answers whose key it holds while a read for an invented key id is not answered", async () => {
      await verifier.verify(GOOD, "first")
      verifier.clocks(3)
      gateway.hold()
      const invented = verifier.verify(INVENTED, "invented")
      await gateway.read(2)
      const more = [1, 2, 3].map((count) => verifier.verify(INVENTED, `more-${count}`))
      expect(await verifier.verify(GOOD, "good")).toBe("accepted")
      expect(verifier.answered.has("invented")).toBe(false)
      expect([gateway.reads, gateway.held]).toEqual([2, 1])
      gateway.release()
      expect(await Promise.all([invented, ...more])).toEqual(Array(4).fill("unknown key"))
    })

    it("looks again for an unknown key id two seconds after the last read has ended, however long that took", async () => {
      await verifier.verify(GOOD)
      verifier.clocks(3)
      gateway.hold()
      const invented = verifier.verify(INVENTED)
      await gateway.read(2)
      verifier.clocks(8)
      await verifier.verify(GOOD)
      gateway.release()
      await invented
      verifier.clocks(9.9)
      expect([await verifier.verify(INVENTED), gateway.reads]).toEqual(["unknown key", 2])
      verifier.clocks(10.1)
      expect([await verifier.verify(INVENTED), gateway.reads]).toEqual(["unknown key", 3])
    })

    it("knows a key that was published a moment ago", async () => {
      gateway.publish(keySets.usual.keys[0])
      expect(await verifier.verify(OF_NEXT)).toBe("unknown key")
      gateway.publish(...keySets.usual.keys)
      verifier.clocks(2.1)
      expect([await verifier.verify(OF_NEXT), gateway.reads]).toEqual(["accepted", 2])
    })

    it("lets all wait for the first read, and reads once for them", async () => {
      gateway.hold()
      const early = Array.from({ length: MANY }, () => [GOOD, OF_NEXT, GOOD]).flat()
      const verdicts = early.map((each) => verifier.verify(each))
      await gateway.read(1)
      gateway.release()
      expect([await Promise.all(verdicts), gateway.reads]).toEqual([early.map(() => "accepted"), 1])
    })

    describe("while it reads them for a key id that it does not hold", () => {
      const all = Number.POSITIVE_INFINITY
      const some = kit.maxWaiting === all ? "all" : String(kit.maxWaiting)
      const accepted = async () => expect(await verifier.verify(GOOD)).toBe("accepted")
      const holdsTheFirst = async () => {
        gateway.publish(keySets.usual.keys[0])
        await accepted()
      }
      /** Resolves when the kit has taken the lines before: it takes one after the other. */
      const taken = async () => expect(await verifier.verify([])).toBe("no passport")
      /** At 301 s, when the keys are due to be read anew. */
      const readsInVain = async (tookS: number) => {
        verifier.clocks(301)
        gateway.hold()
        gateway.fail()
        const reading = verifier.verify(GOOD)
        await gateway.read(2)
        verifier.clocks(301 + tookS)
        await taken()
        gateway.release()
        expect(await reading).toBe("accepted")
      }
      /**
       * Many bring a new key while the read that one of them began is held back: those beyond `waiting` are refused at once, the others are accepted when it has ended.
       * `meantime` is answered at once, and so often that whoever came before would be.
       */
      async function expectToWait(waiting: number, meantime = accepted) {
        const reads = gateway.reads + 1
        gateway.hold()
        const reading = verifier.verify(OF_NEXT)
        await gateway.read(reads)
        const calls = Array.from({ length: MANY }, () => verifier.verify(OF_NEXT))
        const meanwhile: string[] = []
        for (const call of calls) void call.then((verdict) => gateway.isHeld && meanwhile.push(verdict))
        const refused = Array<string>(Math.max(0, MANY - waiting)).fill("unknown key")
        await untilAnswered(refused.length, calls)
        for (let count = 0; count < MANY; count++) await meantime()
        expect([meanwhile, gateway.reads]).toEqual([refused, reads])
        gateway.publish(...keySets.usual.keys)
        gateway.recover()
        gateway.release()
        const waited = Array<string>(1 + MANY - refused.length).fill("accepted")
        expect((await Promise.all([reading, ...calls])).sort()).toEqual([...waited, ...refused])
      }

      it(`lets ${some} wait, and accepts them by the new key; whose key it holds it answers meanwhile`, async () => {
        await holdsTheFirst()
        verifier.clocks(3)
        await expectToWait(kit.maxWaiting)
      })

      it(`lets ${some} wait for each read, be the one before in vain`, async () => {
        await holdsTheFirst()
        verifier.clocks(100)
        gateway.hold()
        gateway.fail()
        const inVain = Array.from({ length: 1 + MANY }, () => verifier.verify(OF_NEXT))
        await gateway.read(2)
        gateway.release()
        expect(new Set(await Promise.all(inVain))).toEqual(new Set(["unknown key"]))
        verifier.clocks(103)
        await expectToWait(kit.maxWaiting)
      })

      it("lets all wait where the keys it holds are older than five minutes, though a read failed since", async () => {
        await holdsTheFirst()
        await readsInVain(1.9)
        verifier.clocks(403)
        await expectToWait(all)
      })

      it(`lets ${some} wait where they are older because the key set hangs`, async () => {
        await holdsTheFirst()
        await readsInVain(2.1)
        verifier.clocks(403)
        await expectToWait(kit.maxWaiting)
      })

      it(`lets ${some} wait where it has read them anew`, async () => {
        await holdsTheFirst()
        verifier.clocks(301)
        expect([await verifier.verify(GOOD), gateway.reads]).toEqual(["accepted", 2])
        verifier.clocks(600)
        await expectToWait(kit.maxWaiting)
      })

      it("lets all wait while it holds none, though it has just read a set of none, slowly", async () => {
        gateway.publish()
        gateway.hold()
        const reading = verifier.verify(GOOD)
        await gateway.read(1)
        verifier.clocks(5)
        await taken()
        gateway.release()
        expect(await reading).toBe("unknown key")
        verifier.clocks(8)
        await expectToWait(all, taken)
      })
    })

    it("goes on with the keys it holds while they are read anew, and where they cannot be", async () => {
      await verifier.verify(GOOD)
      verifier.clocks(301)
      gateway.hold()
      gateway.fail()
      const reading = verifier.verify(GOOD, "reading")
      await gateway.read(2)
      expect(await verifier.verify(OF_NEXT)).toBe("accepted")
      expect(verifier.answered.has("reading")).toBe(false)
      gateway.release()
      expect([await reading, gateway.reads]).toEqual(["accepted", 2])
    })

    it("refuses by a key that is published no more, five minutes after it read the set", async () => {
      await verifier.verify(GOOD)
      gateway.publish(...keySets.usual.keys.slice(1))
      verifier.clocks(299)
      expect([await verifier.verify(GOOD), gateway.reads]).toEqual(["accepted", 1])
      verifier.clocks(301)
      expect([await verifier.verify(GOOD), gateway.reads]).toEqual(["unknown key", 2])
    })

    it("takes no keys for younger than they are where the clock was ahead and is set right", async () => {
      verifier.clocks(0, NOW_S + 86_400)
      expect(await verifier.verify(GOOD)).toBe("expired")
      verifier.clocks(301)
      expect([await verifier.verify(GOOD), gateway.reads]).toEqual(["accepted", 2])
    })

    it("leaves out a key that it cannot use, and no other", async () => {
      const [current] = keySets.usual.keys as readonly { x: string; y: string }[]
      const usual = { kty: "EC", crv: "P-256" }
      const unusable = [
        { ...usual, kid: "short", x: "AAAA", y: "AAAA" },
        { ...usual, kid: "off-the-curve", x: current?.x, y: current?.x },
        { ...usual, kid: "beyond-the-field", x: "_".repeat(42).concat("8"), y: current?.y },
        { ...usual, kid: "without-y", x: current?.x },
        { ...usual, kid: "numbers", x: 1, y: 2 },
        { ...usual, kid: "no-base64", x: "*", y: "" },
        { ...usual, kid: 7, x: current?.x, y: current?.y },
      ]
      gateway.publish(null, "text", 7, [], ...unusable, ...keySets.usual.keys, ...unusable)
      expect([await verifier.verify(GOOD), await verifier.verify(OF_NEXT)]).toEqual(["accepted", "accepted"])
      for (const { kid } of unusable)
        if (typeof kid === "string") expect(await verifier.verify(by(kid))).toBe("unknown key")
    })

    it("trusts neither of two keys of one id, though one of them cannot be used", async () => {
      const broken = { kty: "EC", crv: "P-256", kid: "next", x: "AAAA", y: "AAAA" }
      for (const [at, keys] of [
        [broken, ...keySets.usual.keys],
        [...keySets.usual.keys, broken],
      ].entries()) {
        gateway.publish(...keys)
        verifier.clocks(400 * at)
        expect([await verifier.verify(GOOD), await verifier.verify(OF_NEXT)]).toEqual(["accepted", "unknown key"])
      }
    })

    it("refuses several passports, and none", async () => {
      expect(await verifier.verify([GOOD, GOOD])).toBe("more than one passport")
      expect(await verifier.verify([])).toBe("no passport")
      expect(await verifier.verify(GOOD)).toBe("accepted")
    })
  })

// All at once: each waits out the five seconds that it gives to a read.
describe.concurrent("every kit", () => {
  const ofEach = (test: (kit: Kit, gateway: KeyServer, verifier: Running) => Promise<void>) =>
    Promise.all(
      [...runs].map(async (kit) => {
        const gateway = new KeyServer()
        await gateway.start()
        const verifier = new Running(kit)
        verifier.renew(gateway.url)
        gateway.hold()
        try {
          await test(kit, gateway, verifier)
        } finally {
          verifier.stop()
          await gateway.stop()
        }
      }),
    )

  it("gives up a read whose answer begins and never ends", async () => {
    await ofEach(async (kit, gateway, verifier) => {
      const first = verifier.verify(GOOD)
      await gateway.read(1)
      gateway.trickle()
      expect([kit.name, await first, gateway.reads]).toEqual([kit.name, "unknown key", 1])
      gateway.release()
      verifier.clocks(2.1)
      expect([kit.name, await verifier.verify(GOOD), gateway.reads]).toEqual([kit.name, "accepted", 2])
    })
  })

  it("lets nobody wait on where another's read takes longer than that", async () => {
    await ofEach(async (kit, gateway, verifier) => {
      void verifier.verify(GOOD)
      await gateway.read(1)
      const waiting = verifier.verify(GOOD)
      gateway.drip()
      expect([kit.name, await waiting, gateway.reads]).toEqual([kit.name, "unknown key", 1])
    })
  })
})

describe("the vectors", () => {
  it("are what the script makes, byte for byte", () => {
    expect(readFileSync(VECTORS, "utf8")).toBe(vectorsDocument())
  })

  it("hold some that are accepted and many that are not, each under a name of its own", () => {
    expect(new Set(vectors.map((vector) => vector.name)).size).toBe(vectors.length)
    expect(vectors.filter((vector) => vector.valid).length).toBeGreaterThanOrEqual(5)
    expect(vectors.filter((vector) => !vector.valid).length).toBeGreaterThanOrEqual(40)
  })
})
