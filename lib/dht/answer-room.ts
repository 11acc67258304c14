import type { PeerAddress } from '../util/address.ts'
import { encodeResponse, type KrpcQuery, type KrpcValues } from './krpc.ts'
import { limits } from './limits.ts'
import { formatNodes, type NodeInfo } from './node-info.ts'

/**
 * Free space in a response after its required values. Nodes go in first, then peers, as far as they fit. The sender of a query may
 * forge its address to direct the response at a victim, so the response must not be many times as large as the query.
 */
export class AnswerRoom {
  #left: number

  /** Creates the space that is left beside the required `values`. */
  constructor({ transaction, id }: KrpcQuery, values: KrpcValues, from: PeerAddress) {
    // Our id is as long as theirs.
    this.#left = limits.answerBytes - encodeResponse(transaction, { id, ...values }, from).length
  }

  /** Returns as many nodes as fit, but at least `least`, in compact form; undefined if there is no space. `name` gives the address family. */
  nodes(name: 'nodes' | 'nodes6', nodes: readonly NodeInfo[], least = 0): Uint8Array | undefined {
    const width = name === 'nodes' ? 26 : 38
    // The overhead of 4 is the length prefix of the string.
    const fitting = Math.max(least, this.#fitting(name, 4, width))
    if (fitting <= 0) return undefined
    return this.#take(name, 4, formatNodes(nodes.slice(0, fitting)))
  }

  /** Returns the number of peers of a family that fit. */
  peers(family: 4 | 6): number {
    return Math.max(0, this.#fitting('values', 2, family === 4 ? 8 : 21))
  }

  #fitting(name: string, overhead: number, width: number): number {
    return Math.floor((this.#left - 2 - name.length - overhead) / width)
  }

  #take(name: string, overhead: number, bytes: Uint8Array): Uint8Array {
    this.#left -= 2 + name.length + overhead + bytes.length
    return bytes
  }
}
