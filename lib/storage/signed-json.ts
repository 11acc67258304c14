const field = ',"mac":"'
const suffix = /,"mac":"([0-9a-f]{64})"\}$/
const suffixLength = field.length + 64 + 2

/** Returns the JSON of an object with a signature as its last field, which older versions ignore. */
export function withMac(json: string, mac: string | undefined): string {
  return mac === undefined ? json : `${json.slice(0, -1)}${field}${mac}"}`
}

/** Returns the JSON without its signature, and the signature if there is one; reverses {@link withMac}. */
export function withoutMac(json: string): { readonly json: string; readonly mac: string | undefined } {
  const mac = suffix.exec(json.slice(-suffixLength))?.[1]
  return mac === undefined ? { json, mac } : { json: `${json.slice(0, -suffixLength)}}`, mac }
}
