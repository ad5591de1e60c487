/** How a client reaches its door: one RPC method for all operations, so that a door decides by name what it passes on. */

export interface Door {
  call(method: string, args: readonly unknown[]): Promise<unknown>
}

/** `T` is what the door's method answers by contract (emulator/cloudflare-api/resources.ts); nothing here checks it. */
export async function callDoor<T>(door: Door, method: string, ...args: unknown[]): Promise<T> {
  return (await door.call(method, args)) as T
}
