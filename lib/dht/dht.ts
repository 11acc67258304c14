import { checkNoMore } from '../util/options.ts'
import { DhtEngine } from './dht-engine.ts'
import { DhtHandle } from './dht-handle.ts'
import { type DhtOptions, optionError } from './dht-options.ts'

/**
 * A node of the mainline DHT (BEP 5) in the IPv4 network, the IPv6 network (BEP 32) or both. It knows nothing of torrents. The
 * caller must not look up or announce private torrents (BEP 27), and must repeat announces about every 15 minutes.
 */
export class DHT extends DhtHandle {
  /**
   * Creates a DHT. It starts at once unless it is `lazy`.
   * @throws TorrentError ERR_DHT_OPTION, or ERR_UTIL_ADDRESS if a bootstrap node is not a `host:port`.
   */
  constructor(options?: DhtOptions)
  constructor(options: DhtOptions = {}, ...more: unknown[]) {
    checkNoMore(more, (_, reason) => optionError(reason, {}))
    super(options, DhtEngine)
  }
}
