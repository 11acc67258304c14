import type { ListenOptions } from 'node:net'

/** The default host of a server. */
export const loopback = '127.0.0.1'

/** Normalizes the arguments of `listen` in `node:http`; the default host is 127.0.0.1. */
export function listenOptions(args: readonly unknown[]): ListenOptions {
  const [first, second, third] = args
  if (typeof first === 'object' && first !== null) {
    const isElsewhere = ['path', 'fd', '_handle', 'handle'].some(
      (name) => Reflect.get(first, name) !== undefined
    )
    return isElsewhere ? first : { ...first, host: Reflect.get(first, 'host') || loopback }
  }
  if (typeof first === 'string' && !/^\d+$/.test(first)) return { path: first }
  const port = typeof first === 'function' || first === null ? undefined : Number(first ?? 0)
  const backlog = [second, third].find((value) => typeof value === 'number')
  return {
    port: port ?? 0,
    host: typeof second === 'string' && second !== '' ? second : loopback,
    ...(typeof backlog === 'number' ? { backlog } : {})
  }
}
