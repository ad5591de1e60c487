/** A database in which one change is overtaken by another: that is made whole between what the first has read and what it writes. */

export interface OvertakenDb {
  readonly db: D1Database
  /** The next change goes on to write only when `rival` is done, whose outcome is answered. */
  next<T>(rival: () => Promise<T>): Promise<T>
}

export function overtakenDb(inner: D1Database): OvertakenDb {
  let pending: (() => Promise<unknown>) | null = null
  const records = new WeakSet<D1PreparedStatement>()
  const prepare = (sql: string): D1PreparedStatement => {
    const statement = inner.prepare(sql)
    if (!sql.startsWith("INSERT INTO audit ")) return statement
    return new Proxy(statement, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name)
        if (name !== "bind") return typeof member === "function" ? member.bind(target) : member
        return (...values: unknown[]) => {
          const bound = target.bind(...values)
          records.add(bound)
          return bound
        }
      },
    })
  }
  const batch = async (statements: D1PreparedStatement[]) => {
    const rival = pending
    // A change is what carries a record; the rival's own must not wait for itself.
    if (rival !== null && statements.some((each) => records.has(each))) {
      pending = null
      await rival()
    }
    return inner.batch(statements)
  }
  const db = new Proxy(inner, {
    get(target, name) {
      if (name === "prepare") return prepare
      if (name === "batch") return batch
      const member: unknown = Reflect.get(target, name)
      return typeof member === "function" ? member.bind(target) : member
    },
  })
  return {
    db,
    next: (rival) =>
      new Promise((resolve, reject) => {
        pending = () => rival().then(resolve, reject)
      }),
  }
}
