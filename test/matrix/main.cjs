const { Client } = require('piecewise')
const { createTorrent, parseTorrent } = require('piecewise/metainfo')
const { createServer } = require('piecewise/server')

async function run() {
  const { exercise } = await import('./exercise.mjs')
  const { report } = await import('./report.mjs')
  report(exercise({ Client, createServer, createTorrent, parseTorrent }))
}

run()
