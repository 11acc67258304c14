import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BencodeDict } from '../bencode/bencode-dict.ts'
import { decode } from '../bencode/decode.ts'
import { encode } from '../bencode/encode.ts'
import type { DhtState } from '../dht/dht-options.ts'
import { replaceWithoutFolderSync } from '../storage/atomic-write.ts'
import { isMissing, nodeFs } from '../storage/storage-fs.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { makeFolder } from '../util/make-folder.ts'

/** Largest file that is parsed, in bytes. A table has about 200 nodes of at most 38 bytes. */
const mostBytes = 1 << 18

/** Returns the path of the DHT's state in a client's state folder. */
export function dhtStatePath(folder: string): string {
  return join(folder, 'dht.nodes')
}

/** Loads node ids and nodes of the last run. Returns undefined if there are none, or with a warning if the file is invalid. Never rejects. */
export async function loadDhtState(
  folder: string,
  onWarning: (warning: Error) => void
): Promise<DhtState | undefined> {
  const path = dhtStatePath(folder)
  try {
    const bytes = await readFile(path)
    if (bytes.length > mostBytes) throw new Error(`it has ${bytes.length} bytes, more than ${mostBytes}`)
    return parseDhtState(bytes)
  } catch (error) {
    if (!isMissing(error)) {
      const message = `${path} is ignored: ${asError(error).message}`
      onWarning(new TorrentError('ERR_STORAGE_RESUME', message, { cause: error, details: { path } }))
    }
    return undefined
  }
}

/** Parses a saved state. @throws TorrentError ERR_STORAGE_RESUME or ERR_BENCODE_*. */
export function parseDhtState(bytes: Uint8Array): DhtState {
  const dict = decode(bytes)
  if (!(dict instanceof BencodeDict)) throw new TorrentError('ERR_STORAGE_RESUME', 'it is not a dictionary')
  const state: Record<string, Uint8Array> = {}
  for (const name of ['id', 'id6', 'nodes', 'nodes6'] as const) {
    const value = dict.bytes(name)
    if (value !== undefined) state[name] = value.slice()
  }
  return state
}

/** Writes the state atomically; several processes may do so at the same time. */
export async function saveDhtState(folder: string, state: DhtState): Promise<void> {
  await makeFolder(folder, { mode: 0o700 })
  await replaceWithoutFolderSync(nodeFs, dhtStatePath(folder), encode({ ...state }), `.${process.pid}.tmp`)
}
