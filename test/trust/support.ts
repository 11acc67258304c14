import type { AnnounceParameters } from '../../lib/tracker/request.ts'

/** An info hash. */
export const hash: string = 'ab'.repeat(20)

const parameters: AnnounceParameters = {
  infoHash: new Uint8Array(20),
  peerId: new Uint8Array(20),
  port: 6881,
  uploaded: 0,
  downloaded: 0,
  left: 1,
  key: 1,
  numwant: 200
}

/** An announce, and what a service that is no tracker would be asked. */
export const odd: { readonly parameters: AnnounceParameters; readonly path: string } = {
  parameters,
  path: '/apply.cgi?action=reboot'
}
