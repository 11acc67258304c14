// Runs the compiled command as a user does, and the swarms that it connects to.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))
const noNetwork = new URL('../support/no-network.js', import.meta.url).href

/** A run of the command. */
export interface Run {
  readonly child: ChildProcessWithoutNullStreams
  /** Standard output so far. */
  stdout: string
  stderr: string
  /** Resolves with the exit code once all output is read. */
  readonly ended: Promise<number>
  /**
   * Resolves with the match as soon as standard output (or standard error) matches. Rejects when it ends
   * without a match.
   */
  find(pattern: RegExp, where?: 'stdout' | 'stderr'): Promise<RegExpExecArray>
}

/** Makes a folder that is removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'piecewise-cli-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/**
 * Starts the command in `folder`, with its state in there too, and without a local network. A running command
 * is ended after the test.
 */
export function start(
  t: TestContext,
  folder: string,
  args: readonly string[],
  program: readonly string[] = [main],
  env: Readonly<Record<string, string>> = {}
): Run {
  const child = spawn(process.execPath, ['--import', noNetwork, ...program, ...args], {
    cwd: folder,
    env: { ...process.env, XDG_STATE_HOME: path.join(folder, 'state'), ...env }
  })
  child.stdin.end()
  const ended = once(child, 'close').then(([code]) => Number(code ?? -1))
  const run: Run = {
    child,
    stdout: '',
    stderr: '',
    ended,
    async find(pattern, where = 'stdout') {
      for (;;) {
        const match = pattern.exec(run[where])
        if (match !== null) return match
        const over = await Promise.race([
          once(child[where], 'data').then(() => false),
          ended.then(() => true)
        ])
        const late = pattern.exec(run[where])
        if (late !== null) return late
        if (over) throw new Error(`${pattern} did not come: ${run.stdout}\n${run.stderr}`)
      }
    }
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    run.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    run.stderr += text
  })
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return run
}

/** Runs the command to its end. */
export async function runCommand(
  t: TestContext,
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {}
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const run = start(t, folder, args, undefined, env)
  const code = await run.ended
  return { code, stdout: run.stdout, stderr: run.stderr }
}

/** Arguments that keep a run on loopback. */
export const local: readonly string[] = ['--host', '127.0.0.1', '--port', '0']
