/** Kinds of findings. */
export type FindingKind = 'escape' | 'turn' | 'invariant' | 'growth' | 'memory' | 'hang'

/** An input that breaks a rule of the fuzzer. */
export class Finding extends Error {
  readonly kind: FindingKind
  /** Equal for all inputs with the same fault. */
  readonly key: string

  constructor(
    kind: FindingKind,
    message: string,
    options: { readonly key?: string; readonly cause?: unknown } = {}
  ) {
    super(message, { cause: options.cause })
    this.kind = kind
    this.key = `${kind} ${options.key ?? message.replace(/\d+/g, '#')}`
  }
}
