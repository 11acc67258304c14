import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Torrent } from '../index.ts'
import type { Command } from './command.ts'
import { chooseFiles } from './file-choice.ts'
import { formatBytes, formatCount, formatDuration, formatPercent, formatSpeed } from './format.ts'
import type { Output } from './output.ts'
import { announceTorrent, keepSeeding } from './report.ts'
import { runSession, type Session } from './session.ts'
import {
  clientOptions,
  commonOptions,
  downloadOptions,
  jsonOption,
  readDownloadOptions
} from './shared-options.ts'
import { addSource, readAddOptions, readReading, sourceArgument } from './source-argument.ts'
import { usageError } from './usage-error.ts'
import { readRatio } from './values.ts'

const checkEveryMs = 100

/** `piecewise download`. */
export const download: Command = {
  name: 'download',
  summary: 'downloads a torrent, and continues where it stopped',
  usage: '<torrent|magnet|url> [options]',
  options: {
    select: {
      type: 'string',
      value: 'files',
      help: "all, none, indices such as 0,2-4, or a pattern such as '*.mkv'",
      byDefault: 'all'
    },
    ...downloadOptions,
    ...clientOptions,
    seed: { type: 'boolean', help: 'keep seeding after the download' },
    ratio: {
      type: 'string',
      value: 'number',
      help: 'with --seed: stop at this ratio of uploaded to downloaded bytes'
    },
    ...jsonOption,
    ...commonOptions
  },
  examples: [
    'download film.torrent --dir ~/Videos',
    "download 'magnet:?xt=urn:btih:...' --select '*.mkv' --download-limit 2M",
    'download film.torrent --seed --ratio 1.5'
  ],
  notes: [
    'Ctrl+C saves the progress; the same command continues. The indices of --select are those that ' +
      "'piecewise info' shows. In patterns, * matches anything within a name, ** also across folders, ? one character."
  ],
  async run(line, output) {
    const source = sourceArgument(line)
    if (line.rest.length > 0) throw usageError(`'${line.rest[0]}' is one argument too many`)
    const ratio = line.value('ratio', readRatio)
    if (ratio !== undefined && !line.has('seed')) throw usageError('--ratio needs --seed')
    const select = line.text('select')
    const add = readAddOptions(line)
    return runSession(
      output,
      { client: readDownloadOptions(line), onInterrupted: interruptedSentence },
      async (session) => {
        const torrent = await addSource(session, source, {
          ...add,
          reading: readReading(line),
          selectLater: select !== undefined
        })
        if (select !== undefined) selectFiles(torrent, select)
        await fetchAll(torrent, session, output)
        if (line.has('seed')) await keepSeeding(torrent, session, output, ratio)
        return 0
      }
    )
  }
}

/** Describes what a download stopped by Ctrl+C leaves. */
export function interruptedSentence(torrent: Torrent | undefined): string {
  if (torrent === undefined || torrent.files.length === 0)
    return 'Stopped before the files were known; run the same command again to retry.'
  if (torrent.progress >= 1) return `Stopped after ${formatBytes(torrent.uploaded)} were uploaded.`
  return `Stopped at ${formatPercent(torrent.progress)}; run the same command again to continue.`
}

function selectFiles(torrent: Torrent, choice: string): void {
  const indices = chooseFiles(choice, torrent.files)
  if (indices.length > 0) torrent.select(indices)
}

/** Resolves to whether no files are selected and some are incomplete; waits for the check of files on disk. */
async function isIdle(torrent: Torrent): Promise<boolean> {
  if (torrent.files.some(({ selected }) => selected)) return false
  while (torrent.status === 'checking') await delay(checkEveryMs)
  return !torrent.done
}

async function fetchAll(torrent: Torrent, { until }: Session, output: Output): Promise<void> {
  const began = performance.now()
  announceTorrent(torrent, output)
  if (torrent.progress > 0) output.say(`${formatPercent(torrent.progress)} is already downloaded`)
  if (await until(isIdle(torrent))) {
    output.stopStatus()
    output.say('Nothing is selected, so nothing is downloaded.')
    output.event('idle')
    return
  }
  await until(torrent.whenDone())
  output.stopStatus()
  const durationMs = performance.now() - began
  const { received } = torrent
  const wanted = torrent.files.filter(({ selected }) => selected)
  const where = path.join(torrent.path, torrent.name)
  const speed =
    received > 0
      ? `, ${formatBytes(received)} received in ${formatDuration(durationMs)} (${formatSpeed((received / durationMs) * 1000)})`
      : ''
  output.say(`Done: ${where}: ${formatCount(wanted.length, 'file')}${speed}`)
  output.event('done', { path: where, files: wanted.length, received, durationMs: Math.round(durationMs) })
}
