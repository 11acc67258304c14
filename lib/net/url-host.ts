import { domainToASCII } from 'node:url'

/** Returns the host of a URL in the form that sockets expect: IPv6 without brackets, names in ASCII. */
export function hostOfUrl(url: URL): string {
  const { hostname } = url
  if (hostname.startsWith('[')) return hostname.slice(1, -1)
  // Other schemes leave names as they are written.
  if (/^(?:http|ws)s?:$/.test(url.protocol)) return hostname
  try {
    return domainToASCII(decodeURIComponent(hostname))
  } catch {
    return ''
  }
}

/** Returns scheme, host and port for messages. Omits the path, which may hold a secret passkey. */
export function serverName(url: URL): string {
  return `${url.protocol}//${url.host}`
}
