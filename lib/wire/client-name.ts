import { toLatin1 } from '../util/bytes.ts'

/** Client names by the two letters of `-XX1234-` (BEP 20). */
const dashNames: Readonly<Record<string, string>> = {
  AG: 'Ares',
  AZ: 'Vuze',
  BC: 'BitComet',
  BG: 'BTGetit',
  BI: 'BiglyBT',
  BN: 'Baidu Netdisk',
  BP: 'BitTorrent Pro',
  BT: 'BitTorrent',
  BW: 'BitWombat',
  DE: 'Deluge',
  FD: 'Free Download Manager',
  FL: 'Flud',
  FW: 'FrostWire',
  GT: 'anacrolix/torrent',
  HL: 'Halite',
  JT: 'JavaTorrent',
  KG: 'KGet',
  KT: 'KTorrent',
  LH: 'LH-ABC',
  LP: 'Lphant',
  LT: 'libtorrent',
  LW: 'LimeWire',
  PI: 'PicoTorrent',
  PW: 'piecewise',
  SD: 'Thunder',
  TL: 'Tribler',
  TR: 'Transmission',
  TT: 'TuoTu',
  UE: 'µTorrent Embedded',
  UM: 'µTorrent Mac',
  UT: 'µTorrent',
  UW: 'µTorrent Web',
  WT: 'BitLet',
  WW: 'WebTorrent',
  WD: 'WebTorrent Desktop',
  XL: 'Xunlei',
  XT: 'XanTorrent',
  ZT: 'ZipTorrent',
  lt: 'libTorrent (Rakshasa)',
  qB: 'qBittorrent',
  rQ: 'rqbit',
  st: 'SharkTorrent'
}

/** Client names by the first letter of `X123--` (BEP 20). */
const shadowNames: Readonly<Record<string, string>> = {
  A: 'ABC',
  M: 'BitTorrent',
  O: 'Osprey Permaseed',
  Q: 'Queen Bee',
  R: 'Tribler',
  S: 'Shadow',
  T: 'BitTornado',
  U: 'UPnP NAT'
}

/**
 * Returns the name and version of a client by its peer id (BEP 20), such as `Transmission 4.0.5`, in printable characters; undefined if
 * the format of the id is unknown.
 */
export function clientName(peerId: Uint8Array): string | undefined {
  const text = toLatin1(peerId.subarray(0, 8))
  const dash = /^-([A-Za-z][A-Za-z])([0-9A-Za-z]{4})[-0-9A-Za-z]$/.exec(text)
  if (dash?.[1] !== undefined && dash[2] !== undefined) {
    return `${own(dashNames, dash[1]) ?? dash[1]} ${version(dash[2])}`
  }
  const aria = /^A2-(\d)-(\d+)-/.exec(text)
  if (aria !== null) return `aria2 ${aria[1]}.${aria[2]}`
  const mainline = /^M(\d+)-(\d+)-(\d+)-/.exec(text)
  if (mainline !== null) return `BitTorrent ${mainline.slice(1).join('.')}`
  const shadow = /^([A-Z])([0-9A-Za-z]{1,5})-/.exec(text)
  if (shadow?.[1] !== undefined && shadow[2] !== undefined) {
    const name = own(shadowNames, shadow[1])
    return name === undefined ? undefined : `${name} ${version(shadow[2])}`
  }
  return undefined
}

function own(names: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(names, key) ? names[key] : undefined
}

// Each letter is a digit of base 62. Trailing zeros after the second digit are omitted.
function version(letters: string): string {
  const digits = Array.from(letters, (letter) =>
    '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'.indexOf(letter)
  )
  while (digits.length > 2 && digits.at(-1) === 0) digits.pop()
  return digits.join('.')
}
