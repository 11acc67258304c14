import { MemoryStorage } from '../../lib/storage/memory-storage.ts'

/** Memory storage whose calls fail while a fault is set, and whose opening a gate can delay. */
export class FaultyStorage extends MemoryStorage {
  writeFault: Error | undefined
  readFault: Error | undefined
  openFault: Error | undefined
  syncFault: Error | undefined
  /** Opening waits for this promise. */
  gate: Promise<void> | undefined

  override async open(...args: Parameters<MemoryStorage['open']>): Promise<void> {
    if (this.openFault !== undefined) throw this.openFault
    await this.gate
    await super.open(...args)
  }

  override async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    if (this.writeFault !== undefined) throw this.writeFault
    await super.write(byteOffset, chunks)
  }

  override async read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number> {
    if (this.readFault !== undefined) throw this.readFault
    return super.read(byteOffset, target, signal)
  }

  override async sync(): Promise<void> {
    if (this.syncFault !== undefined) throw this.syncFault
    await super.sync()
  }
}
