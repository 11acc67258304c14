/** A way to dial an address. */
export interface DialVariant {
  readonly transport: 'tcp'
  readonly encryption: 'plain'
}

/** All variants, the first choice first. */
const all: readonly DialVariant[] = [{ transport: 'tcp', encryption: 'plain' }]

/** Returns the variants by which an address is dialled one after the other: first the one that `worked` the last time, if it still may. */
export function variantsOf(
  worked: DialVariant | undefined,
  variants: readonly DialVariant[] = all
): readonly DialVariant[] {
  if (worked === undefined || worked === variants[0] || !variants.includes(worked)) return variants
  return [worked, ...variants.filter((variant) => variant !== worked)]
}
