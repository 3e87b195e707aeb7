// What every test needs: the broker under test, names of its own, patience.
"use strict"

const assert = require("node:assert/strict")
const { setTimeout: sleep } = require("node:timers/promises")
const { Kafka, logLevel, Partitioners } = require("kafkajs")

const PATIENCE_MS = 40_000

const kafka = new Kafka({
  brokers: [process.env.BOOTSTRAP],
  clientId: "kafkajs-test",
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 50, retries: 8 },
})

let names = 0

/** A name that nothing else on the broker has. */
const fresh = kind => `${kind}-${Date.now().toString(36)}-${process.pid}-${++names}`

/** Connect a client, and disconnect it with the test. */
async function connected(t, client) {
  t.after(() => client.disconnect())
  await client.connect()
  return client
}

const admin = t => connected(t, kafka.admin())

const producer = (t, options = {}) =>
  connected(t, kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...options }))

/** Make a topic, wait for its leaders, return its name. */
async function topic(t, numPartitions = 1, settings = {}) {
  const name = fresh("topic")
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  const adm = await admin(t)
  await adm.createTopics({ topics: [{ topic: name, numPartitions, configEntries }], waitForLeaders: false })
  await eventually(`offsets of ${name}`, async () => {
    const offsets = await adm.fetchTopicOffsets(name).catch(() => [])
    return offsets.length === numPartitions
  })
  return name
}

/** Write "0", "1", ... to a partition, a millisecond apart from `first` on. */
async function fill(t, name, partition, count, first = Date.now()) {
  const messages = Array.from({ length: count }, (_, i) => ({ partition, value: `${i}`, timestamp: `${first + i}` }))
  const client = await producer(t)
  await client.send({ topic: name, messages })
}

/** A consumer that runs; `seen` has what it read, `end` makes it leave. */
async function member(t, groupId, name, { each, run, ...options } = {}) {
  const seen = []
  const consumer = await connected(
    t,
    kafka.consumer({ groupId, heartbeatInterval: 200, maxWaitTimeInMs: 200, retry: { initialRetryTime: 50 }, ...options })
  )
  const joined = new Promise(resolve => consumer.on(consumer.events.GROUP_JOIN, resolve))
  let assigned = []
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    assigned = payload.memberAssignment[name] ?? []
  })
  await consumer.subscribe({ topics: [name], fromBeginning: true })
  const keep = ({ partition, message }) => {
    seen.push({ partition, ...message, value: message.value && message.value.toString() })
  }
  await consumer.run({ eachMessage: async payload => (each ? each(payload, keep) : keep(payload)), ...run })
  await joined
  return { consumer, seen, assigned: () => assigned, end: () => consumer.disconnect() }
}

/** Read the first `count` records of a topic with a group of its own. */
async function read(t, name, count) {
  const one = await member(t, fresh("group"), name)
  await eventually(`${count} records of ${name}`, () => one.seen.length >= count)
  await one.end()
  assert.equal(one.seen.length, count)
  return one.seen
}

/** Check again and again until what is named holds. */
async function eventually(what, holds) {
  for (const deadline = Date.now() + PATIENCE_MS; !(await holds()); await sleep(20)) {
    if (Date.now() > deadline) assert.fail(`not within ${PATIENCE_MS} ms: ${what}`)
  }
}

/** The codes of Kafka's that an error of kafkajs carries, in whichever way. */
function codes(error) {
  const inner = [error.cause, ...(error.errors ?? []), ...(error.groups ?? []).map(g => g.error)]
  const deeper = (error.partitions ?? []).map(p => p.error)
  return [error.type, ...[...inner, ...deeper].filter(Boolean).flatMap(codes)].filter(Boolean)
}

/** Fail unless the promise is refused with that code of Kafka's. */
async function refuses(what, promise, code) {
  const error = await promise.then(
    () => assert.fail(`${what}: accepted`),
    error => error
  )
  assert.ok(codes(error).includes(code), `${what}: got ${codes(error)} (${error.message}), want ${code}`)
}

module.exports = { kafka, fresh, connected, admin, producer, topic, fill, member, read, eventually, refuses, sleep }
