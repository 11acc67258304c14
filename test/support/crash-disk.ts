// Stands between node:fs and the library, so that a disk can fail, or a process die, at each change of a folder. It replaces functions of
// node:fs, so a test imports this file before any file of lib/. Without a disk that is armed, every call goes through as it is.
import fs, { constants } from 'node:fs'
import promises, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import path from 'node:path'

/**
 * What happens at a step. `die`: the process ends before it. `tear`: the process ends in the middle of it, half of the bytes written.
 * `full`: the disk is full from there on. `short`: the disk is full at this step alone.
 */
export type Fault = 'die' | 'tear' | 'full' | 'short'

/** What a power cut leaves of what was not synced: neither names nor bytes (`synced`), or names without their bytes (`named`). */
export type Loss = 'synced' | 'named'

/** Sets apart files that had the same inode one after the other. */
type FileId = symbol
type Call = (this: unknown, ...args: unknown[]) => Promise<unknown>
type Calls = Record<string, Call>

const calls = promises as unknown as Calls
/** Those that change a folder, the path first; a call that opens or copies is told apart below. */
const changing = [
  'mkdir',
  'rename',
  'unlink',
  'rmdir',
  'rm',
  'link',
  'symlink',
  'truncate',
  'utimes',
  'chmod'
]
const writing = ['writeFile', 'appendFile', 'copyFile', 'cp', 'mkdtemp']
const reading = ['stat', 'lstat', 'readFile', 'readdir', 'realpath', 'access']
const handleWriting = ['write', 'writev', 'writeFile', 'appendFile']
const handleChanging = ['truncate', 'datasync', 'sync', 'utimes', 'chmod']
const handleReading = ['read', 'readv', 'readFile', 'stat']
const growing = new Set([
  'mkdir',
  'link',
  'symlink',
  ...writing,
  ...handleWriting,
  'datasync',
  'sync',
  'create'
])

const disks = new Set<CrashDisk>()
const paths = new WeakMap<object, string>()
/** Handles that are open, and how they are closed. */
const handles = new Map<FileHandle, () => Promise<void>>()
/** For what the dead wait. */
const never = new Promise<never>(() => {})

/** A folder whose changes are counted as steps, at one of which something goes wrong. */
export class CrashDisk {
  readonly folder: string
  /** What each step was. */
  readonly steps: string[] = []
  #at = Number.POSITIVE_INFINITY
  #fault: Fault = 'die'
  #dead = false
  #failed = false
  #kill: (() => void) | undefined
  readonly #running = new Set<Promise<unknown>>()
  #onDeath: () => void = () => {}
  /** Resolves when the process would have ended. */
  readonly death: Promise<void> = new Promise((resolve) => {
    this.#onDeath = resolve
  })
  /** Bytes of files as they were last synced. */
  readonly #bytes = new Map<FileId, Buffer>()
  /** Names in folders as they were last synced; a folder has no id. */
  readonly #names = new Map<string, Map<string, FileId | undefined>>()
  /** The file that has an inode now. */
  readonly #ids = new Map<number, FileId>()

  /** From now on the changes of a folder count; what is there by now is safe. */
  constructor(folder: string) {
    this.folder = fs.realpathSync(folder)
    this.#keepTree(this.folder)
    disks.add(this)
  }

  /** Something goes wrong at a step; `kill` ends the process, otherwise its calls wait for ever. */
  arm(fault: Fault, at: number, kill?: () => void): void {
    this.#fault = fault
    this.#at = at
    this.#kill = kill
  }

  /** Whether the step that was armed came. */
  get hasFailed(): boolean {
    return this.#failed
  }

  /** There is space again. */
  free(): void {
    this.#at = Number.POSITIVE_INFINITY
  }

  /** Waits until nothing is written any more, and copies what the next run finds. */
  async copyTo(target: string): Promise<void> {
    await Promise.allSettled(this.#running)
    fs.cpSync(this.folder, target, { recursive: true, preserveTimestamps: true })
  }

  /** The same after a power cut. */
  async salvageTo(target: string, loss: Loss): Promise<void> {
    await Promise.allSettled(this.#running)
    this.#salvage(this.folder, target, loss)
  }

  /** Counts no more. */
  async close(): Promise<void> {
    if (!this.#dead) disks.delete(this)
    await Promise.allSettled(this.#running)
    for (const [handle, close] of this.#dead ? handles : []) {
      if (!isBelow(this.folder, paths.get(handle))) continue
      handles.delete(handle)
      await close()
    }
  }

  /** Runs a call on this disk; `half` does a part of it. */
  async call(
    name: string,
    isChange: boolean,
    run: () => Promise<unknown>,
    half?: () => Promise<unknown>
  ): Promise<unknown> {
    if (this.#dead) return never
    if (isChange) {
      this.steps.push(name)
      const step = this.steps.length
      const fails = step === this.#at || (this.#fault === 'full' && step > this.#at)
      this.#failed ||= fails
      if (fails && (this.#fault === 'die' || this.#fault === 'tear')) {
        this.#dead = true
        if (this.#fault === 'tear') await half?.()
        this.#kill?.()
        this.#onDeath()
        return never
      }
      if (fails && growing.has(name.split(' ')[0] ?? '')) {
        // Some of it may still have fitted.
        await half?.()
        throw Object.assign(new Error(`ENOSPC: no space left on device, ${name}`), { code: 'ENOSPC' })
      }
    }
    const running = run()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
      if (this.#dead) await never
    }
  }

  /** A file was made: what had its inode before was another one. */
  made(inode: number): void {
    this.#ids.set(inode, Symbol())
  }

  /** A file or folder was synced. */
  synced(handle: FileHandle): void {
    const stats = fs.fstatSync(handle.fd)
    if (stats.isDirectory()) this.#keepNames(paths.get(handle) ?? '')
    else this.#bytes.set(this.#idOf(stats.ino), readAll(handle.fd, stats.size))
  }

  #idOf(inode: number): FileId {
    let id = this.#ids.get(inode)
    if (id === undefined) this.#ids.set(inode, (id = Symbol()))
    return id
  }

  #keepTree(folder: string): void {
    this.#keepNames(folder)
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const file = path.join(folder, entry.name)
      if (entry.isDirectory()) this.#keepTree(file)
      else this.#bytes.set(this.#idOf(fs.statSync(file).ino), fs.readFileSync(file))
    }
  }

  #keepNames(folder: string): void {
    const names = fs.readdirSync(folder, { withFileTypes: true }).map((entry) => {
      const { ino } = fs.lstatSync(path.join(folder, entry.name))
      return [entry.name, entry.isDirectory() ? undefined : this.#idOf(ino)] as const
    })
    this.#names.set(folder, new Map(names))
  }

  #salvage(folder: string, target: string, loss: Loss): void {
    fs.mkdirSync(target, { recursive: true })
    if (loss === 'named') this.#keepNames(folder)
    for (const [name, id] of this.#names.get(folder) ?? []) {
      if (id === undefined) this.#salvage(path.join(folder, name), path.join(target, name), loss)
      else fs.writeFileSync(path.join(target, name), this.#bytes.get(id) ?? '', { mode: 0o600 })
    }
  }
}

function readAll(fd: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let at = 0
  for (let count = 1; at < size && count > 0; at += count) count = fs.readSync(fd, bytes, at, size - at, at)
  return bytes.subarray(0, at)
}

function isBelow(folder: string, file: unknown): boolean {
  return typeof file === 'string' && (file === folder || file.startsWith(folder + path.sep))
}

function diskOf(...files: unknown[]): CrashDisk | undefined {
  for (const disk of disks) if (files.some((file) => isBelow(disk.folder, file))) return disk
  return undefined
}

/** The first half of what a call would write, in the form that it takes. */
function halfOf(data: unknown): unknown {
  if (typeof data === 'string') return data.slice(0, data.length >> 1)
  if (Array.isArray(data)) {
    const all = Buffer.concat(data as Uint8Array[])
    return [all.subarray(0, all.length >> 1)]
  }
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength >> 1)
    : undefined
}

// ---- the calls of node:fs ----

const original: { readonly promises: Calls; readonly handle: Calls } = { promises: { ...calls }, handle: {} }

function creates(flags: unknown): boolean {
  const { O_CREAT, O_TRUNC } = constants
  return typeof flags === 'number' ? (flags & (O_CREAT | O_TRUNC)) !== 0 : /^[wa]/.test(String(flags ?? 'r'))
}

function named(name: string, file: unknown, disk: CrashDisk): string {
  return `${name} ${path.relative(disk.folder, String(file)) || '.'}`
}

function replaceCall(name: string, isChange: boolean): void {
  const real = original.promises[name]
  if (real === undefined) return
  calls[name] = async (...args) => {
    const disk = diskOf(args[0], args[1])
    const run = (): Promise<unknown> => real.apply(promises, args)
    if (disk === undefined) return run()
    const half = writing.includes(name)
      ? () => real.call(promises, args[0], halfOf(args[1]) ?? args[1], args[2])
      : undefined
    return disk.call(named(name, args[0], disk), isChange, run, half)
  }
}

function replaceOpen(): void {
  const real = original.promises['open']
  if (real === undefined) return
  calls['open'] = async (...args) => {
    const [file, flags] = args
    const disk = diskOf(file)
    if (disk === undefined) return real.apply(promises, args)
    const isNew = creates(flags) && !fs.existsSync(String(file))
    return disk.call(named(isNew ? 'create' : 'open', file, disk), creates(flags), async () => {
      const handle = (await real.apply(promises, args)) as FileHandle
      paths.set(handle, String(file))
      replaceHandleCalls(handle)
      // It is no method of the class.
      const close = handle.close.bind(handle)
      handles.set(handle, close)
      const closeIt = (): Promise<unknown> => {
        handles.delete(handle)
        return close()
      }
      handle.close = () => disk.call('close', false, closeIt) as Promise<void>
      if (isNew) disk.made(fs.fstatSync(handle.fd).ino)
      return handle
    })
  }
}

function replaceHandleCall(prototype: Calls, name: string, isChange: boolean): void {
  const real = prototype[name]
  if (real === undefined) return
  original.handle[name] = real
  prototype[name] = async function (this: unknown, ...args) {
    const handle = this as FileHandle
    const disk = diskOf(paths.get(handle))
    const syncs = name === 'sync' || name === 'datasync'
    // Power does not fail here, and waiting for disks is most of the time that a test takes.
    if (disk === undefined) return syncs ? undefined : real.apply(handle, args)
    const half = handleWriting.includes(name)
      ? () => real.call(handle, halfOf(args[0]), ...args.slice(1))
      : undefined
    return disk.call(
      named(name, paths.get(handle), disk),
      isChange,
      async () => {
        if (!syncs) return real.apply(handle, args)
        disk.synced(handle)
        return undefined
      },
      half
    )
  }
}

/** There is no other way to the class than through one of it. */
function replaceHandleCalls(handle: FileHandle): void {
  if ('sync' in original.handle) return
  const prototype = Object.getPrototypeOf(handle) as Calls
  for (const name of [...handleWriting, ...handleChanging]) replaceHandleCall(prototype, name, true)
  for (const name of handleReading) replaceHandleCall(prototype, name, false)
}

for (const name of [...changing, ...writing]) replaceCall(name, true)
for (const name of reading) replaceCall(name, false)
replaceOpen()
syncBuiltinESMExports()
