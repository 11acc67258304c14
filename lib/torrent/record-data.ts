import type { Layout } from '../metainfo/layout.ts'
import type { ResumeRecord } from '../storage/resume-record.ts'
import type { Storage } from '../storage/storage.ts'
import { bitsOf } from '../util/bits.ts'
import type { Ledger } from './ledger.ts'

/** The part of a resume record that tells of the data. */
export type RecordData = Pick<ResumeRecord, 'clean' | 'files' | 'parts' | 'verified' | 'partial' | 'created'>

/**
 * Syncs the storage and says what is in it: first the data, then the record that claims it. `partial` lists for incomplete
 * pieces the blocks that are stored.
 */
export async function recordData(
  storage: Storage,
  ledger: Ledger,
  layout: Layout,
  clean: boolean,
  partial: ReadonlyMap<number, readonly number[]>
): Promise<RecordData> {
  const verified = ledger.bits((piece) => ledger.isStored(piece))
  await storage.sync()
  const stats = await storage.stats?.()
  return {
    // What was not hashed yet must be hashed by the next run as well.
    clean: clean && ledger.unprovenCount === 0 && ledger.uncheckedCount === 0,
    files: stats?.files ?? layout.files.map(() => undefined),
    ...(stats?.parts === undefined ? {} : { parts: stats.parts.stat }),
    verified,
    partial: new Map(
      [...partial].map(([piece, blocks]) => [piece, bitsOf(layout.blockCount(piece), blocks)])
    ),
    created: storage.created ?? []
  }
}
