import type { PieceProofs } from '../../lib/pieces/piece-proofs.ts'
import type { PieceTable } from '../../lib/pieces/piece-table.ts'
import { Assembly } from '../../lib/storage/assembly.ts'
import type { AssemblyEvents } from '../../lib/storage/assembly-events.ts'
import type { Storage } from '../../lib/storage/storage.ts'
import type { MemoryAccount } from '../../lib/util/memory-budget.ts'

/**
 * An assembly with the table updates that a picker makes when it reserves and abandons pieces, receives
 * blocks and gets results.
 */
export class PickedAssembly extends Assembly {
  readonly table: PieceTable

  constructor(
    table: PieceTable,
    storage: Storage,
    account: MemoryAccount,
    proofs: PieceProofs,
    events: AssemblyEvents
  ) {
    const miss = (piece: number): void => {
      table.blocks.end(piece)
      table.setMissing(piece)
    }
    super(table, storage, account, proofs, {
      ...events,
      verified: (piece, digests) => {
        table.blocks.end(piece)
        table.setVerified({ start: piece, end: piece + 1 })
        return events.verified(piece, digests)
      },
      failed: (piece, digestOf) => {
        miss(piece)
        events.failed(piece, digestOf)
      },
      lost: (piece) => {
        miss(piece)
        events.lost(piece)
      },
      error: (error, piece) => {
        miss(piece)
        events.error(error, piece)
      }
    })
    this.table = table
  }

  override reserve(piece: number, urgent: boolean): number {
    const blocks = super.reserve(piece, urgent)
    if (blocks > 0) this.table.blocks.begin(piece)
    return blocks
  }

  override fill(piece: number, block: number, data?: Uint8Array): void {
    this.table.blocks.get(piece)?.receive(block, 1)
    super.fill(piece, block, data)
  }

  override abandon(piece: number): void {
    this.table.blocks.end(piece)
    super.abandon(piece)
  }

  override spill(piece: number): boolean {
    const blocks = this.table.blocks.get(piece)?.receivedBlocks() ?? []
    const isSpilled = super.spill(piece)
    if (isSpilled) {
      this.table.blocks.end(piece)
      this.table.blocks.setKept(piece, blocks)
    }
    return isSpilled
  }

  override keep(piece: number, blocks: readonly number[]): readonly number[] {
    const kept = super.keep(piece, blocks)
    if (kept.length > 0) this.table.blocks.setKept(piece, kept)
    return kept
  }
}
