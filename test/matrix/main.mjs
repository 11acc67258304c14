import { Client } from 'piecewise'
import { createTorrent, parseTorrent } from 'piecewise/metainfo'
import { createServer } from 'piecewise/server'
import { exercise } from './exercise.mjs'
import { report } from './report.mjs'

report(exercise({ Client, createServer, createTorrent, parseTorrent }))
