import type { PeerAddress } from '../util/address.ts'
import { encodeResponse, type KrpcQuery, type KrpcValues } from './krpc.ts'
import { limits } from './limits.ts'
import { formatNodes, type NodeInfo } from './node-info.ts'

/**
 * The bytes of an answer that are still free once it holds what it is asked for: nodes and peers take what they find, the more
 * useful first. Whoever forges its address has us send the answer to somebody else, so it must not be many times the question.
 */
export class AnswerRoom {
  #left: number

  /** Beside the values that an answer must have. */
  constructor({ transaction, id }: KrpcQuery, values: KrpcValues, from: PeerAddress) {
    // Our id has as many bytes as theirs.
    this.#left = limits.answerBytes - encodeResponse(transaction, { id, ...values }, from).length
  }

  /** Nodes of one family in compact form, as many as there is room for but `least`; undefined when that is none. */
  nodes(name: 'nodes' | 'nodes6', nodes: readonly NodeInfo[], least = 0): Uint8Array | undefined {
    const width = name === 'nodes' ? 26 : 38
    // The length that stands before the string.
    const fitting = Math.max(least, this.#fitting(name, 4, width))
    if (fitting <= 0) return undefined
    return this.#take(name, 4, formatNodes(nodes.slice(0, fitting)))
  }

  /** How many peers of a family there is room for. */
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
