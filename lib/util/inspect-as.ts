import type { InspectOptions, inspect as nodeInspect } from 'node:util'

const custom = Symbol.for('nodejs.util.inspect.custom')

/** Makes `util.inspect` and `console.log` show the result of `facts` for objects of a class, instead of their fields. */
export function inspectAs<T extends object>(
  shown: { readonly name: string; readonly prototype: T },
  facts: (object: T) => object
): void {
  const value = function (
    this: T,
    depth: number,
    options: InspectOptions,
    inspect: typeof nodeInspect
  ): string {
    return depth < 0 ? `[${shown.name}]` : `${shown.name} ${inspect(facts(this), { ...options, depth })}`
  }
  Object.defineProperty(shown.prototype, custom, { value, configurable: true, writable: true })
}
