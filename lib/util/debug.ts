import createDebug, { type Debugger } from 'debug'

/** A logger of the `debug` package for `piecewise:<name>`; guard hot paths with `.enabled`. */
export function debug(name: string): Debugger {
  return createDebug(`piecewise:${name}`)
}
