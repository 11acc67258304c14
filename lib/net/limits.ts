/** Bounds on all that a server can push at our HTTP requests and look-ups, each with its reason. */
export const limits = {
  /** Bytes of the head of an HTTP answer: some have cookies of 20 kB. */
  headBytes: 65_536,
  /** Bytes of an HTTP body as sent: 1 MiB of a tracker's answer holds 170,000 peers, which nobody needs. */
  bodyBytes: 1_048_576,
  /** Bytes of an HTTP body after inflation: a gzip bomb grows a thousandfold. */
  inflatedBytes: 2_097_152,
  /** Redirects in a row; browsers follow 20, a tracker needs 1 or 2. */
  redirects: 5,
  /** How long a host name may take to resolve. */
  resolveMs: 20_000
} as const
