import type { NatNetwork } from '../nat/nat-network.ts'
import type { NatStatus } from '../nat/nat-status.ts'
import type { PortMapper } from '../nat/port-mapper.ts'

/** Options of a {@link NatService}. */
export interface NatServiceOptions {
  readonly network: NatNetwork
  /** Whether UDP is mapped as well as TCP. */
  readonly udp: boolean
  /** Settles once {@link NatServiceOptions.port} is known. */
  readonly listening: Promise<unknown>
  /** Returns our port; 0 if there is none. */
  port(): number
  /** Called when the port that peers can reach has changed. */
  onPort(): void
}

/** The port mapping of a client; loads its code when the client listens. */
export class NatService {
  readonly #starting: Promise<void>
  #mapper: PortMapper | undefined
  /** Before the mapper exists. */
  #early: NatStatus = { state: 'searching' }
  #externalPort: number | undefined
  #isClosed = false

  constructor(options: NatServiceOptions) {
    this.#starting = this.#start(options)
  }

  /** The present state. */
  get status(): NatStatus {
    return this.#mapper?.status ?? this.#early
  }

  /** The port at which peers on the internet reach us; undefined while none is known to be mapped. */
  get externalPort(): number | undefined {
    return this.#externalPort
  }

  /** Removes the port mapping from the router, in about a second at most; idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#starting
    await this.#mapper?.close()
  }

  async #start({ network, udp, listening, port, onPort }: NatServiceOptions): Promise<void> {
    await listening
    if (port() === 0) this.#early = { state: 'failed', reason: 'the client listens on no port' }
    if (this.#isClosed || port() === 0) return
    const { PortMapper } = await import('../nat/port-mapper.ts')
    if (this.#isClosed) return
    this.#mapper = new PortMapper({
      network,
      udp,
      port: port(),
      onChange: ({ state, externalPort }) => {
        if (state === 'searching') return
        const next = state === 'mapped' ? externalPort : undefined
        if (next === this.#externalPort) return
        const told = this.#externalPort ?? port()
        this.#externalPort = next
        if ((next ?? port()) !== told) onPort()
      }
    })
  }
}
