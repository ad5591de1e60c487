/** What the compatibility flag `nodejs_als` brings of Node: the Workers' types do not describe it, and all of Node's would describe too much. */
declare module "node:async_hooks" {
  export class AsyncLocalStorage<T> {
    getStore(): T | undefined
    run<R>(store: T, callback: () => R): R
  }
}
