import { LazyMap } from '../util/lazy-collections.ts'
import { limits } from './limits.ts'

/** Entries of an address book that never answered a dial, by host. They count towards the port limit of the host. */
export class UnprovenPorts<T extends { readonly host: string | undefined }> {
  readonly #hosts = new LazyMap<string, T[]>()

  /** Counts an entry; entries without `host` are not limited. */
  add(entry: T): void {
    if (entry.host === undefined) return
    const entries = this.#hosts.get(entry.host)
    if (entries === undefined) this.#hosts.set(entry.host, [entry])
    else entries.push(entry)
  }

  /** Stops counting an entry: it answered, left the book, or was named by the program. */
  delete(entry: T): void {
    const entries = entry.host === undefined ? undefined : this.#hosts.get(entry.host)
    const index = entries?.indexOf(entry) ?? -1
    if (entry.host === undefined || entries === undefined || index < 0) return
    entries.splice(index, 1)
    if (entries.length === 0) this.#hosts.delete(entry.host)
  }

  /** Returns the entries of which one must be evicted before the host gets another; empty while there is room. */
  crowd(host: string | undefined): readonly T[] {
    const entries = host === undefined ? undefined : this.#hosts.get(host)
    return entries === undefined || entries.length < limits.portsPerHost ? [] : entries
  }
}
