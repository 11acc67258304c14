import { domainToASCII } from 'node:url'

/** The host of a URL as sockets take it: IPv6 without brackets, names in ASCII. */
export function hostOfUrl(url: URL): string {
  const { hostname } = url
  if (hostname.startsWith('[')) return hostname.slice(1, -1)
  if (url.protocol !== 'udp:') return hostname
  try {
    return domainToASCII(decodeURIComponent(hostname))
  } catch {
    return ''
  }
}

/** The server in a few words for messages: scheme, host and port, but no path, which may hold a secret passkey. */
export function serverName(url: URL): string {
  return `${url.protocol}//${url.host}`
}
