/** A peer, as far as it sends blocks. */
export interface BlockSource {
  /** Number that is never used again. */
  readonly id: number
  /** The host that bad blocks are blamed on. */
  readonly banKey: string
  /** Asks for a block. */
  request(piece: number, block: number): void
  /** Cancels a request. */
  cancel(piece: number, block: number): void
  /** Tells the source whether it has something that we want. */
  interest(interested: boolean): void
  /** The memory that the source writes a block into is needed otherwise: the rest of the block goes to memory of its own. */
  detach(): void
}
