/** Bencodes text or bytes as a string. */
function str(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text as string)
  return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes])
}

/** Returns a name of four characters for a number. */
function name(n: number): string {
  return n.toString(36).padStart(4, '0')
}

function file(path: readonly Uint8Array[], before = ''): Buffer {
  return Buffer.concat([Buffer.from(`d${before}6:lengthi1e4:pathl`), ...path, Buffer.from('ee')])
}

/** Returns as many items as fit into this many bytes. */
function items(bytes: number, make: (n: number) => Uint8Array): Buffer {
  const list: Uint8Array[] = []
  for (let length = 0, n = 0; length < bytes; n++) {
    const item = make(n)
    list.push(item)
    length += item.length
  }
  return Buffer.concat(list)
}

/** Returns a .torrent of these files, in one piece. */
export function torrentOfFiles(files: Uint8Array): Buffer {
  const rest = `e4:name1:x12:piece lengthi${2 ** 29}e6:pieces20:`
  return Buffer.concat([
    Buffer.from('d4:infod5:filesl'),
    files,
    Buffer.from(rest),
    Buffer.alloc(20),
    Buffer.from('ee')
  ])
}

/**
 * Returns a .torrent of one file. `after` follows the other keys of the info dictionary; `before` precedes
 * the info dictionary.
 */
function torrentOfOne(after: Uint8Array, before: Uint8Array = Buffer.alloc(0), pieces = 1): Buffer {
  const info = `4:infod6:lengthi${16384 * pieces}e4:name1:x12:piece lengthi16384e6:pieces${20 * pieces}:`
  const parts = [
    Buffer.from('d'),
    before,
    Buffer.from(info),
    Buffer.alloc(20 * pieces),
    after,
    Buffer.from('ee')
  ]
  return Buffer.concat(parts)
}

function list(key: string, values: Uint8Array): Buffer {
  return Buffer.concat([str(key), Buffer.from('l'), values, Buffer.from('e')])
}

const deep = Array<Uint8Array>(98).fill(str('a'))

/**
 * Torrents of about this many bytes, each large in a different way. `files` and folders may be fewer than the
 * limits allow.
 */
export const largeTorrents: Readonly<Record<string, (bytes: number) => Uint8Array>> = {
  'many files in one folder': (bytes) => torrentOfFiles(items(bytes, (n) => file([str(name(n))]))),
  'many files of one name': (bytes) => torrentOfFiles(items(bytes, () => file([str('a')]))),
  'a folder for each file': (bytes) => torrentOfFiles(items(bytes, (n) => file([str(name(n)), str('a')]))),
  'deep folders': (bytes) => torrentOfFiles(items(bytes, (n) => file([str(name(n)), ...deep, str('b')]))),
  'long names': (bytes) => torrentOfFiles(items(bytes, (n) => file([str(`${'é'.repeat(120)}${name(n)}`)]))),
  'one long name': (bytes) => torrentOfFiles(file([str(Buffer.alloc(bytes, 0xff))])),
  'huge attributes': (bytes) => torrentOfFiles(file([str('a')], `4:attr${bytes}:${'q'.repeat(bytes)}`)),
  'many tiny keys': (bytes) => torrentOfOne(items(bytes, (n) => Buffer.from(`5:z${name(n)}0:`))),
  'many tiny dictionaries': (bytes) => torrentOfOne(list('z', Buffer.alloc(2 * Math.floor(bytes / 2), 'de'))),
  'many trackers': (bytes) =>
    torrentOfOne(
      Buffer.alloc(0),
      list(
        'announce-list',
        items(bytes, (n) => Buffer.from(`l4:${name(n)}e`))
      )
    ),
  'many pieces': (bytes) => torrentOfOne(Buffer.alloc(0), undefined, Math.floor(bytes / 20)),
  'a long comment': (bytes) =>
    torrentOfOne(Buffer.alloc(0), Buffer.concat([str('comment'), str('c'.repeat(bytes))]))
}
