import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** A program that prints a line of JSON when it is ready. It ends when its input ends, so that it cannot outlive this process. */
export interface Child {
  readonly pid: number
  /** Returns the next line that it prints, parsed as JSON. */
  line<T>(): Promise<T>
  /** Writes a line to its input. */
  say(text: string): void
  /** Ends it. */
  stop(): Promise<void>
}

/** Starts a program. */
export function startChild(program: string, args: readonly string[]): Child {
  const child: ChildProcess = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const lines: AsyncIterator<string> | undefined =
    child.stdout === null ? undefined : createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    pid: child.pid ?? 0,
    async line<T>(): Promise<T> {
      const next = await lines?.next()
      if (next === undefined || next.done === true) throw new Error(`${program} ended too early`)
      return JSON.parse(next.value) as T
    },
    say: (text) => {
      child.stdin?.write(text)
    },
    async stop() {
      child.kill('SIGKILL')
      await exited
    }
  }
}
