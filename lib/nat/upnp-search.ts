import type { DatagramPort } from '../net/datagram-port.ts'
import type { LocalInterface } from '../net/local-interfaces.ts'
import { sharesNetwork } from '../net/local-interfaces.ts'
import type { PeerAddress } from '../util/address.ts'
import { debug } from '../util/debug.ts'
import type { Timers } from '../util/timers.ts'
import { limits } from './limits.ts'
import type { NatNetwork } from './nat-network.ts'
import { pmpPort } from './pmp-router.ts'
import type { Refusal } from './router.ts'
import { formatSearch, parseSsdp, searchTargets, ssdpGroup } from './ssdp.ts'
import { UpnpRouter } from './upnp-router.ts'

const log = debug('nat')
/** Devices spread their answers over this time. */
const answerSeconds = 1
/** Time after which a search is repeated, as UDP may lose it. */
const repeatMs = 500
/** Time after which hosts that are not known as routers count as well. */
const windowMs = 1_600

/** Options of {@link searchUpnp}. */
export interface UpnpSearchOptions {
  readonly network: Pick<NatNetwork, 'http'>
  /** UDP port of our address in the network; its owner closes it. */
  readonly port: DatagramPort
  readonly through: LocalInterface
  /** Addresses that are known or guessed to be routers. */
  readonly hosts: readonly string[]
  readonly timers: Timers
  readonly signal: AbortSignal
}

/**
 * Searches one local network for a router that speaks UPnP. Any host can answer: answers count only from within
 * the network, with a description at the host itself, and those of known routers come first. Never rejects.
 */
export async function searchUpnp(options: UpnpSearchOptions): Promise<UpnpRouter | Refusal> {
  const { network, through, signal } = options
  const answers = new Answers(options)
  try {
    for (let tried = 0; tried < limits.descriptions; tried++) {
      const answer = await answers.next()
      if (answer === undefined || signal.aborted) break
      const { host, url } = answer
      if (log.enabled) log('%s describes itself at %s', host, url.href)
      const router = await UpnpRouter.describe(url, { network, host, local: through.address }, signal)
      if (router !== undefined) return router
    }
    return { refused: answers.count === 0 ? 'no UPnP device answers' : 'no UPnP device maps ports' }
  } finally {
    answers.close()
  }
}

interface Answer {
  readonly host: string
  readonly url: URL
}

/** The answers to one search. */
class Answers {
  readonly #options: UpnpSearchOptions
  readonly #unclaim: () => void
  readonly #known: Answer[] = []
  readonly #others: Answer[] = []
  readonly #urls = new Set<string>()
  readonly #cancel: (() => void)[] = []
  #count = 0
  /** Whether other hosts than known routers count. */
  #isOpenToAll = false
  #wake: (() => void) | undefined
  readonly #onAbort = (): void => this.close()

  constructor(options: UpnpSearchOptions) {
    this.#options = options
    const { port, through, timers, signal } = options
    this.#unclaim = port.claim({
      matches: (_message, from) => from.port !== pmpPort && sharesNetwork(from.host, [through]),
      receive: (message, from) => this.#receive(message, from)
    })
    signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#send()
    this.#cancel.push(
      timers.after(repeatMs, () => this.#send()),
      timers.after(windowMs, () => this.close())
    )
  }

  /** Number of different answers. */
  get count(): number {
    return this.#urls.size
  }

  /** Resolves with the next answer; undefined once no more come. */
  async next(): Promise<Answer | undefined> {
    for (;;) {
      const answer = this.#known.shift() ?? (this.#isOpenToAll ? this.#others.shift() : undefined)
      if (answer !== undefined || this.#isOpenToAll) return answer
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** Ends the search; answers that have arrived stay. Idempotent. */
  close(): void {
    this.#isOpenToAll = true
    this.#unclaim()
    for (const cancel of this.#cancel) cancel()
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    this.#wake?.()
  }

  #send(): void {
    const { port, hosts } = this.#options
    for (const target of searchTargets) {
      const message = formatSearch(target, answerSeconds)
      port.send(message, ssdpGroup)
      // Wireless networks and switches may hold multicast back.
      for (const host of hosts) port.send(message, { host, port: ssdpGroup.port })
    }
  }

  #receive(message: Uint8Array, { host }: PeerAddress): void {
    if (++this.#count > limits.ssdpAnswers) return
    const url = parseSsdp(message, host)
    if (url === undefined || this.#urls.has(url.href)) return
    this.#urls.add(url.href)
    const list = this.#options.hosts.includes(host) ? this.#known : this.#others
    list.push({ host, url })
    this.#wake?.()
  }
}
