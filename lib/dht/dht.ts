import { checkNoMore } from '../util/options.ts'
import { DhtEngine } from './dht-engine.ts'
import { DhtHandle } from './dht-handle.ts'
import { type DhtOptions, optionError } from './dht-options.ts'

/**
 * A node of the mainline DHT (BEP 5) in the IPv4 network, the IPv6 network (BEP 32) or both. It knows nothing of torrents: that
 * private ones (BEP 27) are neither looked up nor announced here is the caller's business, and so is to announce again,
 * every 15 minutes or so.
 */
export class DHT extends DhtHandle {
  /**
   * Starts at once, unless it is `lazy`.
   * @throws TorrentError ERR_DHT_OPTION, or ERR_UTIL_ADDRESS for a bootstrap node that is no `host:port`.
   */
  constructor(options?: DhtOptions)
  constructor(options: DhtOptions = {}, ...more: unknown[]) {
    checkNoMore(more, (_, reason) => optionError(reason, {}))
    super(options, DhtEngine)
  }
}
