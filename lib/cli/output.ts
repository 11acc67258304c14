import { asError, isError, systemCode } from '../util/errors.ts'
import { printable, printableJson } from './printable.ts'
import { type Status, statusLine, statusText } from './status-line.ts'

const redrawMs = 200
const plainMs = 5000
const jsonMs = 1000
const hideCursor = '\x1b[?25l'
const showCursor = '\x1b[?25h'
const clearLine = '\r\x1b[2K'

/** The part of `process.stdout` and `process.stderr` that an {@link Output} uses. */
export interface OutputStream {
  write(text: string): boolean
  readonly isTTY?: boolean
  readonly columns?: number
}

/** Where and how an {@link Output} writes. */
export interface OutputOptions {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** Whether to write one JSON object per line on standard output instead of text. */
  readonly json?: boolean
  /** Whether to write only results, warnings and errors. */
  readonly quiet?: boolean
  readonly verbose?: boolean
  /** Whether standard output carries data; text then goes to standard error. */
  readonly dataOnStdout?: boolean
  /** Whether the terminal cannot move its cursor. */
  readonly dumb?: boolean
  /** Aborted when the reader of standard output is gone; nothing is written there after that. */
  readonly unread?: AbortSignal
}

/**
 * Writes all output of a command. Redraws the status line on standard error if that is a terminal; otherwise writes the status as text
 * every five seconds, or as a JSON event every second. Makes all text safe for terminals.
 */
export class Output {
  readonly verbose: boolean
  readonly json: boolean
  /** Aborted when the reader of standard output is gone. */
  readonly unread: AbortSignal
  readonly #options: OutputOptions
  readonly #live: boolean
  #status: (() => Status) | undefined
  #timer: NodeJS.Timeout | undefined
  #drawn = false
  #failure: unknown

  constructor(options: OutputOptions) {
    this.#options = options
    this.verbose = options.verbose === true
    this.json = options.json === true
    this.unread = options.unread ?? new AbortController().signal
    this.#live =
      options.stderr.isTTY === true && options.dumb !== true && !this.json && options.quiet !== true
  }

  /** Writes a milestone; omitted with `quiet` and `json`. */
  say(text: string): void {
    if (!this.json && this.#options.quiet !== true) this.#write(this.#textStream, text)
  }

  /** Writes the result of the command as text, even with `quiet`. */
  result(text: string): void {
    if (!this.json) this.#write(this.#textStream, text)
  }

  /** Writes a warning; omitted after the command has failed, except with `verbose`. */
  warn(warning: Error | string): void {
    if (this.#failure !== undefined && !this.verbose) return
    const message = typeof warning === 'string' ? warning : warning.message
    if (this.json) this.event('warning', { message, ...codeOf(warning) })
    else this.#write(this.#options.stderr, `piecewise: warning: ${message}`)
    if (this.verbose && typeof warning !== 'string') this.#trace(warning)
  }

  /** Writes why the command failed: one sentence, once; with `verbose` also the stack. */
  fail(thrown: unknown): void {
    if (thrown === this.#failure) return
    this.#failure = thrown
    const error = asError(thrown)
    this.event('error', { message: error.message, ...codeOf(error) })
    this.#write(this.#options.stderr, `piecewise: ${error.message}`)
    if (this.verbose) this.#trace(error)
  }

  /** Writes a line of JSON if the output is JSON. */
  event(event: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (this.json) this.raw(`${printableJson({ event, ...fields })}\n`)
  }

  /** Writes text unchanged to standard output, such as help and JSON. */
  raw(text: string): void {
    if (!this.unread.aborted) this.#options.stdout.write(text)
  }

  /** Starts the status: updated in place on a terminal, otherwise written every few seconds. */
  startStatus(status: () => Status): void {
    this.stopStatus()
    this.#status = status
    if (this.#live) {
      this.#options.stderr.write(hideCursor)
      this.#draw()
    }
    const everyMs = this.#live ? redrawMs : this.json ? jsonMs : plainMs
    this.#timer = setInterval(() => this.#tick(), everyMs)
    this.#timer.unref()
  }

  /** Stops the status, clears its line and shows the cursor again. */
  stopStatus(): void {
    clearInterval(this.#timer)
    if (this.#status === undefined) return
    this.#status = undefined
    this.#clear()
    if (this.#live) this.#options.stderr.write(showCursor)
  }

  get #textStream(): OutputStream {
    return this.#options.dataOnStdout === true ? this.#options.stderr : this.#options.stdout
  }

  #tick(): void {
    const status = this.#status?.()
    if (status === undefined) return
    if (this.#live) this.#draw()
    else if (this.json) this.event('status', { ...status })
    else this.say(statusText(status))
  }

  #draw(): void {
    if (this.#status === undefined) return
    const { stderr } = this.#options
    // The last column stays free: some terminals wrap when it is written.
    const width = Math.max(10, stderr.columns ?? 80) - 1
    stderr.write(`${clearLine}${printable(statusLine(this.#status(), width))}`)
    this.#drawn = true
  }

  #clear(): void {
    if (!this.#drawn) return
    this.#drawn = false
    this.#options.stderr.write(clearLine)
  }

  #write(stream: OutputStream, text: string): void {
    this.#clear()
    if (stream !== this.#options.stdout) stream.write(`${printable(text)}\n`)
    else this.raw(`${printable(text)}\n`)
    if (this.#live) this.#draw()
  }

  #trace(error: Error): void {
    this.#clear()
    for (let at: unknown = error; isError(at); at = at.cause) {
      for (const line of (at.stack ?? '').split('\n')) this.#options.stderr.write(`  ${printable(line)}\n`)
    }
  }
}

function codeOf(error: unknown): { code?: string } {
  const code = systemCode(error)
  return code === undefined ? {} : { code }
}
