// Names and layouts of torrents that try to write elsewhere, or that file systems treat in unusual ways.

/** A path element as it is in a torrent. */
export type RawName = string | Uint8Array

/** A file of a hostile torrent. */
export interface HostileFile {
  readonly path: readonly RawName[]
  readonly pathUtf8?: readonly RawName[]
  readonly attr?: string
  readonly symlink?: readonly string[]
  readonly length?: number
}

/** The layout of a hostile torrent. Without `files` it is one file called `name`. */
export interface HostileLayout {
  readonly name: RawName
  readonly nameUtf8?: RawName
  readonly files?: readonly HostileFile[]
  /** Path in the tree of a user's file that has the same bytes as the torrent. No seeder has the torrent. */
  readonly secret?: string
}

/** The paths that hostile torrents attack. */
export interface Targets {
  /** Absolute path of a folder of the user outside of the data. */
  readonly outside: string
  /** Info hash of a torrent that the client already has. */
  readonly infoHash: string
}

const invisible = [
  '\u200b',
  '\u200c',
  '\u200d',
  '\u200e',
  '\u202e',
  '\u2060',
  '\u2066',
  '\ufeff',
  '\u00ad',
  '\u034f'
]

/** Returns spellings that a file system or a sanitizer may treat as equal to a name. */
function spellings(name: string): RawName[] {
  const middle = Math.ceil(name.length / 2)
  const [before, after] = [name.slice(0, middle), name.slice(middle)]
  return [
    ...[name, name.toUpperCase(), `${before}${after.toUpperCase()}`, `${name}.`, `${name} `, `${name}. .`],
    ...invisible.map((sign) => `${before}${sign}${after}`),
    ...[`\u200d${name}`, `${name}\u200c`, `${name}\u202e`, `${name}\0`, `\x01${name}`, ` ${name}`],
    ...[`${name}/`, `${name}\\`, `/${name}`, `\\${name}`, `./${name}`, `x/../${name}`],
    ...[`${name}::$DATA`, `${name}:$I30:$INDEX_ALLOCATION`, `${name}:x`],
    ...[before.normalize('NFD') + after.replace('e', 'e\u0301'), name.replace('s', '\u017f')],
    ...[Buffer.concat([Buffer.from(name), Uint8Array.of(0xff)])],
    name.replace(/[!-~]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0xfee0))
  ]
}

/** Returns paths of files that hold records and lists of torrents. */
function recordFiles(infoHash: string): HostileFile[] {
  const names = ['client.session', 'client.lock', 'record.key', 'planted.txt', `${infoHash}.resume`]
  return [...names, `${infoHash}.torrent`, `${infoHash}.parts`].map((name) => ({ path: [name] }))
}

const dotfiles: readonly RawName[] = [
  ...[
    '.bashrc',
    '.BASHRC',
    '.profile',
    '.netrc',
    '.unheard-of',
    ' .bashrc',
    '\u200d.bashrc',
    '\u200b.bashrc'
  ],
  ...[
    '\ufeff.bashrc',
    './.bashrc',
    '/.bashrc',
    '\\.bashrc',
    '.bashrc\0',
    '\0.bashrc',
    '.\u200dbashrc',
    '.\u202ebashrc'
  ],
  ...[
    '.ssh/authorized_keys',
    'x/../.bashrc',
    Uint8Array.of(0x2e, 0xff),
    '..bashrc',
    '.',
    '..',
    '...',
    '. .',
    '.\u200d.'
  ]
]

const odd: readonly RawName[] = [
  ...['', '\0', ' ', '~', '~root', '-rf', '*', '$(touch x)', '`id`', 'a\nb', 'a\tb', '\x7f', '\x1b[2J'],
  ...[
    'photo\u202egpj.exe',
    '\u2066a\u2069',
    'CON',
    'nul.txt',
    'COM1',
    'aux',
    'C:',
    'C:\\x',
    '\\\\server\\share\\x'
  ],
  ...[
    'n'.repeat(300),
    '\u{1f600}'.repeat(100),
    `${'x'.repeat(254)}\u0301.txt`,
    '.'.repeat(300),
    '%2e%2e%2fx'
  ],
  ...[
    Uint8Array.of(0xff, 0xfe, 0x2f),
    Uint8Array.of(0xc0, 0xae, 0xc0, 0xae, 0xc0, 0xaf),
    Uint8Array.of(0xed, 0xa0, 0x80)
  ],
  ...['\uff0e\uff0e', '\u2024\u2024', '\u2025', '\uff0fetc', '\u2215etc', '\ud83d', 'lost+found']
]

/** Returns paths that lead out of the data folder. */
function escapes({ outside }: Targets): (readonly RawName[])[] {
  return [
    ['..', 'outside', 'secret.txt'],
    ['..', '..', 'outside', 'secret.txt'],
    ['..', '..', '..', '..', '..', '..', '..', '..', outside.slice(1), 'secret.txt'],
    ['../outside/secret.txt'],
    ['..\\outside\\secret.txt'],
    ['..\0', 'outside', 'secret.txt'],
    ['\u200d..', '\u200d..', 'outside', 'secret.txt'],
    ['.\u200d.', '.\u200d.', 'outside', 'secret.txt'],
    ['.\u200b.', '.\ufeff.', 'outside', 'secret.txt'],
    ['\uff0e\uff0e', 'outside', 'secret.txt'],
    ['. .', '.. ', 'outside', 'secret.txt'],
    [`${outside}/secret.txt`],
    ['', outside, 'secret.txt'],
    ['/', outside.slice(1), 'secret.txt'],
    [Uint8Array.of(0xc0, 0xae, 0xc0, 0xae), 'outside', 'secret.txt'],
    ['file://', outside, 'secret.txt'],
    ['%2e%2e', 'outside', 'secret.txt']
  ]
}

const doubles: readonly HostileLayout[] = [
  { name: 'twice', files: [{ path: ['a'] }, { path: ['a'] }, { path: ['A'] }] },
  { name: 'composed', files: [{ path: ['\u00e9'] }, { path: ['e\u0301'] }] },
  { name: 'fold', files: [{ path: ['a'] }, { path: ['a', 'b'] }, { path: ['A', 'c'] }] },
  { name: 'empty', files: [{ path: ['', 'a'] }, { path: ['', '..', ''] }, { path: ['.'] }] },
  { name: 'suffix', files: [{ path: ['a.txt'] }, { path: ['a.txt'] }, { path: ['a.1.txt'] }] },
  { name: 'deep', files: [{ path: Array.from({ length: 99 }, () => 'd') }] },
  { name: 'up', files: [{ path: ['a', '..', '..', 'b'] }, { path: ['..', 'a', 'b'] }] },
  { name: 'pads', files: [{ path: ['..', '..', 'outside', 'pad'], attr: 'p' }, { path: ['a'] }] },
  {
    name: 'pad-state',
    files: [{ path: ['.pad', 'x'], attr: 'p' }, { path: ['_____padding_file_0_x'] }, { path: ['a'] }]
  },
  {
    name: 'link',
    files: [
      { path: ['ln'], attr: 'l', symlink: ['..', '..', 'outside'], length: 0 },
      { path: ['ln', 'secret.txt'] }
    ]
  },
  {
    name: 'link-up',
    files: [{ path: ['ln'], attr: 'l', symlink: ['/'], length: 0 }, { path: ['ln', 'etc', 'passwd'] }]
  },
  {
    name: 'xh',
    files: [
      { path: ['run.sh'], attr: 'x' },
      { path: ['.hidden'], attr: 'h' }
    ]
  },
  { name: 'innocent', nameUtf8: '.bashrc' },
  { name: '.bashrc', nameUtf8: 'innocent.txt' },
  { name: 'fine', files: [{ path: ['fine'], pathUtf8: ['..', '..', 'outside', 'secret.txt'] }] },
  { name: 'fine2', nameUtf8: '..', files: [{ path: ['x'], pathUtf8: ['.piecewise', 'planted.txt'] }] }
]

/** Names in the data folder that belong to the user or to another torrent, with other bytes. */
const taken: readonly HostileLayout[] = [
  { name: 'notes.txt' },
  { name: 'photos', files: [{ path: ['cat.jpg'] }] },
  { name: 'photos', files: [{ path: ['..', 'cat.jpg'] }] },
  { name: 'hard.txt' },
  { name: 'linked.txt' },
  { name: 'away', files: [{ path: ['old.txt'] }] },
  { name: 'honest.bin' },
  { name: 'honest', files: [{ path: ['a.bin'] }, { path: ['new.bin'] }] },
  { name: 'notes.txt', files: [{ path: ['below'] }] },
  { name: 'photos' },
  { name: 'photos', files: [{ path: ['cat.jpg', 'x'] }] },
  { name: 'shortcut', files: [{ path: ['planted.txt'] }, { path: ['new.txt'] }] },
  { name: 'shortcut' },
  { name: 'nowhere', files: [{ path: ['a'] }] },
  { name: 'nowhere' }
]

/** Returns torrents whose bytes the user has under another name. */
function thieves(targets: Targets): HostileLayout[] {
  const { infoHash } = targets
  return [
    { name: '.bashrc', secret: '.bashrc' },
    { name: '\u200d.bashrc', secret: '.bashrc' },
    { name: '.ssh', secret: '.ssh/authorized_keys', files: [{ path: ['authorized_keys'] }] },
    { name: '.\u200bssh', secret: '.ssh/authorized_keys', files: [{ path: ['authorized_keys'] }] },
    { name: '.ssh/authorized_keys', secret: '.ssh/authorized_keys' },
    { name: 'pack', secret: '.ssh/authorized_keys', files: [{ path: ['..', '.ssh', 'authorized_keys'] }] },
    ...['.piecewise', '.PIECEWISE', '.piece\u200dwise', '.piecewise ', '.piecewise.'].map((name) => ({
      name,
      secret: '.piecewise/planted.txt',
      files: [{ path: ['planted.txt'] }]
    })),
    {
      name: 'pack',
      secret: '.piecewise/planted.txt',
      files: [{ path: ['..', '.piecewise', 'planted.txt'] }]
    },
    ...['state', 'State', 'state\0', 'st\u200date', 'state/'].map((name) => ({
      name,
      secret: 'state/planted.txt',
      files: [{ path: ['planted.txt'] }, { path: [`${infoHash}.seed`], length: 0 }]
    })),
    { name: 'shortcut', secret: 'state/planted.txt', files: [{ path: ['planted.txt'] }] },
    { name: 'state', secret: 'state/planted.txt', files: [{ path: ['piecewise', 'planted.txt'] }] },
    ...escapes(targets).map((path) => ({ name: 'thief', secret: '../outside/secret.txt', files: [{ path }] }))
  ]
}

/** Returns all hostile layouts, about 300. */
export function hostileLayouts(targets: Targets): HostileLayout[] {
  const records = recordFiles(targets.infoHash)
  return [
    ...spellings('.piecewise').flatMap((name, n): HostileLayout[] => [
      { name, files: [...records.slice(n % records.length, (n % records.length) + 1), { path: [`x${n}`] }] },
      { name: `nested${n}`, files: [{ path: [name, 'planted.txt'] }, { path: ['a', name] }] }
    ]),
    ...['.piecewise', '.PIECEWISE'].map((name) => ({ name })),
    ...['PIECEW~1', 'piecew~2', 'PI1A2B~1', 'PIECE~10'].map((name) => ({ name, files: records.slice(4, 5) })),
    ...spellings('state').map((name, n) =>
      n % 3 === 2 ? { name } : { name, files: records.slice(n % 7, (n % 7) + 1) }
    ),
    { name: 'state', files: [{ path: ['piecewise', 'record.key'] }, { path: ['piecewise', 'planted.txt'] }] },
    { name: 'state', files: [{ path: ['piecewise'] }] },
    ...dotfiles.map((name) => ({ name })),
    ...['.ssh', '.\u200dssh', '.ssh ', '.config', '.unheard-of'].map((name) => ({
      name,
      files: [{ path: ['authorized_keys'] }, { path: ['rc'] }, { path: ['autostart', 'x.desktop'] }]
    })),
    ...odd.flatMap((name, n): HostileLayout[] =>
      n % 2 === 0 ? [{ name }] : [{ name: `odd${n}`, files: [{ path: [name, name] }, { path: [name] }] }]
    ),
    ...escapes(targets).flatMap((path, n): HostileLayout[] => [
      { name: `escape${n}`, files: [{ path }, { path: ['..', ...path] }] }
    ]),
    { name: '..', files: [{ path: ['outside', 'secret.txt'] }] },
    { name: targets.outside, files: [{ path: ['secret.txt'] }] },
    { name: `${targets.outside}/secret.txt` },
    { name: '../outside/secret.txt' },
    ...['resume', 'parts', 'torrent', 'seed'].map((kind) => ({ name: `${targets.infoHash}.${kind}` })),
    { name: 'HONEST', files: [{ path: ['a.bin'] }] },
    ...doubles,
    ...taken,
    ...thieves(targets)
  ]
}
