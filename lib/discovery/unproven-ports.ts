import { LazyMap } from '../util/lazy-collections.ts'
import { limits } from './limits.ts'

/** The entries of an address book that count for the ports of their host, since no dial to them was answered. */
export class UnprovenPorts<T extends { readonly host: string | undefined }> {
  readonly #hosts = new LazyMap<string, T[]>()

  /** Counts an entry; one without `host` is not limited. */
  add(entry: T): void {
    if (entry.host === undefined) return
    const entries = this.#hosts.get(entry.host)
    if (entries === undefined) this.#hosts.set(entry.host, [entry])
    else entries.push(entry)
  }

  /** An entry counts no longer: it answered, has left the book, or the program named it. */
  delete(entry: T): void {
    const entries = entry.host === undefined ? undefined : this.#hosts.get(entry.host)
    const index = entries?.indexOf(entry) ?? -1
    if (entry.host === undefined || entries === undefined || index < 0) return
    entries.splice(index, 1)
    if (entries.length === 0) this.#hosts.delete(entry.host)
  }

  /** The entries one of which has to leave before the host gets another; none while there is room. */
  crowd(host: string | undefined): readonly T[] {
    const entries = host === undefined ? undefined : this.#hosts.get(host)
    return entries === undefined || entries.length < limits.portsPerHost ? [] : entries
  }
}
