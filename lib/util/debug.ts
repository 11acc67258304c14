import createDebug, { type Debugger } from 'debug'
import { notify } from './user-code.ts'

/** A logger; guard hot paths with `.enabled`. */
export interface Log extends Pick<Debugger, 'enabled' | 'namespace'> {
  (format: string, ...values: readonly unknown[]): void
}

/**
 * Returns a logger of the `debug` package for `piecewise:<name>`. Its hooks (`log`, formatters) belong to the
 * program and may throw.
 */
export function debug(name: string): Log {
  const log = createDebug(`piecewise:${name}`)
  const write = (format: string, ...values: readonly unknown[]): void => notify(log, format, ...values)
  return Object.defineProperties(write, {
    enabled: { get: () => log.enabled },
    namespace: { value: log.namespace }
  }) as Log
}
