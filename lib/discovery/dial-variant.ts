/** A way to dial an address. */
export interface DialVariant {
  readonly transport: 'tcp'
  readonly encryption: 'plain'
}

/** All variants, in order of preference. */
const all: readonly DialVariant[] = [{ transport: 'tcp', encryption: 'plain' }]

/** Returns the variants to try, in order; the one that `worked` last comes first if it is still allowed. */
export function variantsOf(
  worked: DialVariant | undefined,
  variants: readonly DialVariant[] = all
): readonly DialVariant[] {
  if (worked === undefined || worked === variants[0] || !variants.includes(worked)) return variants
  return [worked, ...variants.filter((variant) => variant !== worked)]
}
