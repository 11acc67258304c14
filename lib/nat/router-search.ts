import type { DatagramPort } from '../net/datagram-port.ts'
import type { Gateway } from '../net/gateways.ts'
import type { LocalInterface } from '../net/local-interfaces.ts'
import { asError } from '../util/errors.ts'
import type { Timers } from '../util/timers.ts'
import type { NatNetwork } from './nat-network.ts'
import { PmpRouter } from './pmp-router.ts'
import { type Attempt, race } from './race.ts'
import { isRefusal, type Mapping, type MappingRequest, type Refusal, type Router } from './router.ts'
import { searchUpnp } from './upnp-search.ts'
import { within } from './within.ts'

/** Silence of the routers of one kind after which the next kind is asked as well. */
const stepMs = 1_000

/** Milliseconds for removing the second mapping when two routers have mapped the port. */
const discardMs = 900

/** Options of {@link searchRouters}. */
export interface RouterSearchOptions {
  readonly network: NatNetwork
  readonly timers: Timers
  readonly signal: AbortSignal
}

/** A router that has mapped a port. */
export interface FoundRouter {
  readonly router: Router
  readonly mapping: Mapping
  /** Releases what the router uses; the port stays mapped. */
  close(): Promise<void>
}

/** A local network with the routers to ask in it. */
interface Neighbourhood {
  readonly through: LocalInterface
  readonly hosts: readonly string[]
  /** UDP port of our address in it. */
  readonly port: DatagramPort
}

/**
 * Asks routers for a port: those of the best network first, and in each PCP and NAT-PMP before UPnP. Resolves with
 * the first that maps it, or with all reasons why none does. Never rejects.
 */
export async function searchRouters(
  gateways: readonly Gateway[],
  request: MappingRequest,
  { network, timers, signal }: RouterSearchOptions
): Promise<FoundRouter | Refusal> {
  const reasons: string[] = []
  const note = (reason: string): undefined => void reasons.push(reason)
  const places = await openPlaces(gateways, network, note)
  const upnp = new AbortController()
  const mapBy = async (router: Router, mayGoOn: AbortSignal) => {
    const mapping = await router.map(request, mayGoOn)
    if (!isRefusal(mapping)) return { router, mapping }
    router.close()
    return note(`${router.host} ${mapping.refused}`)
  }
  // Devices may take a second to answer, so the search begins at once.
  const searches = places.map((place) => searchUpnp({ ...place, network, timers, signal: upnp.signal }))
  const groups = places.flatMap(({ port, hosts, through }, index) => {
    const byPmp = hosts.map((host): Attempt<Omit<FoundRouter, 'close'>> => {
      const router = new PmpRouter({ port, host, local: through.address, timers })
      return (mayGoOn) => mapBy(router, mayGoOn)
    })
    const byUpnp: Attempt<Omit<FoundRouter, 'close'>> = async (mayGoOn) => {
      const onAbort = (): void => upnp.abort()
      mayGoOn.addEventListener('abort', onAbort, { once: true })
      const found = await searches[index]
      mayGoOn.removeEventListener('abort', onAbort)
      if (found === undefined || mayGoOn.aborted) return undefined
      return 'refused' in found ? note(found.refused) : mapBy(found, mayGoOn)
    }
    return [byPmp, [byUpnp]]
  })
  const discard = async ({ router, mapping }: Omit<FoundRouter, 'close'>): Promise<void> => {
    await within(discardMs, timers, (limit) =>
      router.unmap({ ...request, externalPort: mapping.externalPort }, limit)
    )
    router.close()
  }
  const { won, hadRivals } = await race(groups, { stepMs, timers, signal, discard })
  upnp.abort()
  await Promise.all(searches)
  const kept = won?.router.protocol === 'upnp' ? undefined : won?.router.local
  const isKept = ({ through }: Neighbourhood): boolean => through.address === kept
  const closeAll = async (some: readonly Neighbourhood[]): Promise<void> =>
    void (await Promise.all(some.map(({ port }) => port.close())))
  await closeAll(places.filter((place) => !isKept(place)))
  if (won === undefined) return { refused: reasons.join('; ') }
  const { router } = won
  // If a rival is the same router, removing its mapping may have removed ours too.
  const again = hadRivals ? await router.map(request, signal) : won.mapping
  return {
    router,
    mapping: isRefusal(again) ? won.mapping : again,
    close: async () => {
      router.close()
      await closeAll(places.filter(isKept))
    }
  }
}

/** Binds a UDP port in each network. */
async function openPlaces(
  gateways: readonly Gateway[],
  network: NatNetwork,
  note: (reason: string) => void
): Promise<Neighbourhood[]> {
  const places: Neighbourhood[] = []
  for (const local of new Set(gateways.map((gateway) => gateway.local))) {
    const routers = gateways.filter((gateway) => gateway.local === local)
    const [first] = routers
    if (first === undefined) continue
    try {
      const port = await network.separateUdpPort(local)
      places.push({ through: first.through, hosts: routers.map(({ host }) => host), port })
    } catch (thrown) {
      note(asError(thrown).message)
    }
  }
  return places
}
