#!/bin/sh
# The UDP tracker of npm's bittorrent-tracker 11.2.3 answers over IPv6 with IPv4 peers.
#
# Expected: BEP 15, "IPv6": the address family of the datagram decides; who announces from an IPv6
#   address gets pairs of 18 bytes (16 of address, 2 of port). Two peers on IPv6 find each other.
# Seen: over IPv6 the pairs have 6 bytes and are the IPv4 peers. Two peers on IPv6 are counted (two
#   leechers) and get an empty list. With three IPv4 peers in the swarm the list has 18 bytes: a
#   client that keeps to BEP 15 reads one IPv6 peer that does not exist. The same server's HTTP
#   tracker does know the IPv6 peers (`peers6`).
# Needs Node.js and IPv6 on loopback.
# Exit code: 0 if this is still so, 1 if it has changed, 2 if it cannot be run here.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM
cd "$work"
echo '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional --cache "$work/cache" \
    bittorrent-tracker@11.2.3 || exit 2

cat >run.mjs <<'JAVASCRIPT'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import Server from 'bittorrent-tracker/server'

const { version } = JSON.parse(readFileSync('node_modules/bittorrent-tracker/package.json'))
const INFO_HASH = Buffer.alloc(20, 0xab)
const LIMIT = 10_000 // milliseconds for each answer

const server = new Server({ udp: true, http: true, ws: false, stats: false })
server.on('error', fail)
server.on('warning', error => console.error(error.message))

function fail (error) {
  console.error(`This cannot be run here: ${error.message}`)
  process.exit(2)
}

async function ask (socket, request, port, host) {
  socket.send(request, port, host)
  const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(LIMIT) })
  return answer
}

/** Announce a leecher over UDP; return the count of leechers and the bytes of peers. */
async function announce (host, number) {
  const isIPv6 = host.includes(':')
  const port = (isIPv6 ? server.udp6 : server.udp4).address().port
  const socket = dgram.createSocket(isIPv6 ? 'udp6' : 'udp4')
  const connect = Buffer.alloc(16)
  connect.writeBigUInt64BE(0x41727101980n)
  connect.writeUInt32BE(number, 12)
  const connection = await ask(socket, connect, port, host)
  const request = Buffer.alloc(98)
  connection.copy(request, 0, 8, 16) // connection id
  request.writeUInt32BE(1, 8) // action: announce
  request.writeUInt32BE(number, 12) // transaction id
  INFO_HASH.copy(request, 16)
  request.write(`-XX0001-${String(number).padStart(12, '0')}`, 36)
  request.writeBigUInt64BE(1000n, 64) // left
  request.writeUInt32BE(2, 80) // event: started
  request.writeInt32BE(-1, 92) // num_want: default
  request.writeUInt16BE(7000 + number, 96)
  const answer = await ask(socket, request, port, host)
  socket.close()
  const leechers = answer.readUInt32BE(12)
  const peers = answer.subarray(20)
  console.log(`${host} port ${7000 + number}: ${leechers} leechers, ${peers.length} bytes of peers`)
  return { leechers, peers }
}

await new Promise(resolve => server.listen(0, resolve))
if (!server.udp6) fail(new Error('no IPv6'))
console.log(`bittorrent-tracker ${version}`)
let result
try {
  await announce('::1', 1)
  const alone = await announce('::1', 2)
  for (const number of [3, 4, 5]) await announce('127.0.0.1', number)
  const mixed = await announce('::1', 2)

  const address = server.http.address()
  const query = `info_hash=${'%ab'.repeat(20)}&peer_id=-XX0001-000000000006&port=7006` +
    '&uploaded=0&downloaded=0&left=1000&compact=1'
  const answer = await fetch(`http://127.0.0.1:${address.port}/announce?${query}`)
  const http = Buffer.from(await answer.arrayBuffer()).toString('latin1')
  const overHTTP = Number(http.match(/6:peers6(\d+):/)?.[1])
  console.log(`HTTP: peers6 of ${overHTTP} bytes`)

  const ipv4 = Buffer.from([127, 0, 0, 1])
  const pairs = [0, 6, 12].map(start => mixed.peers.subarray(start, start + 4))
  result = alone.leechers === 2 && alone.peers.length === 0 &&
    mixed.peers.length === 18 && pairs.every(each => each.equals(ipv4)) && overHTTP === 36
} catch (error) {
  fail(error)
}
if (!result) console.error('This has changed.')
process.exit(result ? 0 : 1)
JAVASCRIPT
node run.mjs
