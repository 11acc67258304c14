import type { AnnounceParameters } from '../../lib/tracker/request.ts'

/** An announce in a regular round, for tests in which its values do not matter. */
export const regularAnnounce: AnnounceParameters = {
  infoHash: new Uint8Array(20),
  peerId: new Uint8Array(20),
  port: 6881,
  uploaded: 0,
  downloaded: 0,
  left: 1,
  key: 1,
  numwant: 50
}
