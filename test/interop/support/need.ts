// Tests with real programs run where those are installed, and name the missing ones elsewhere.
import { namespacesPossible } from './namespaces.ts'
import { attempt, which } from './process.ts'

/** Set by the project's own checks: a missing program is then a failure and no reason to skip. */
export const peersRequired: boolean = process.env['PIECEWISE_REQUIRE_PEERS'] === '1'

/** A requirement of a test: a command on the PATH, `python3:module`, `root`, or `namespaces`. */
export type Need = string

/**
 * Returns options for `test()`: runs if all requirements are met, else skips with a message, or fails when
 * peers are required.
 */
export function needs(needed: readonly Need[], timeoutMs: number): { skip: string | false; timeout: number } {
  const missing = needed.filter((need) => !present(need))
  if (missing.length === 0) return { skip: false, timeout: timeoutMs }
  const message = `not found: ${missing.join(', ')}`
  if (peersRequired) throw new Error(`PIECEWISE_REQUIRE_PEERS is set, but ${message}`)
  return { skip: message, timeout: timeoutMs }
}

const known = new Map<string, boolean>()

function present(need: Need): boolean {
  let is = known.get(need)
  if (is === undefined) {
    const [program = '', module] = need.split(':')
    if (need === 'namespaces') is = namespacesPossible()
    else if (need === 'root') is = process.getuid?.() === 0
    else if (module === undefined) is = which(program) !== undefined
    else is = attempt([systemPython, '-c', `import ${module}`]).status === 0
    known.set(need, is)
  }
  return is
}

/** Debian's own Python, for which Debian's modules are made; another one may come first on the PATH. */
export const systemPython: string = '/usr/bin/python3'
