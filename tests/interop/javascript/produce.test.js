"use strict"

const assert = require("node:assert/strict")
const { test } = require("node:test")
const { CompressionCodecs, CompressionTypes } = require("kafkajs")
const { ZstdCodec } = require("zstd-codec")
const { fresh, member, producer, read, refuses, topic, eventually } = require("./live")

CompressionCodecs[CompressionTypes.Snappy] = require("kafkajs-snappy")
const zstd = new Promise(resolve => ZstdCodec.run(codec => resolve(new codec.Streaming())))
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from((await zstd).compress(encoder.buffer)),
  decompress: async buffer => Buffer.from((await zstd).decompress(buffer)),
})

const codecs = new Map(Object.entries(CompressionTypes))
try {
  CompressionCodecs[CompressionTypes.LZ4] = new (require("kafkajs-lz4"))().codec
} catch {
  codecs.delete("LZ4") // there was no compiler to install it with
}

test("records arrive with every kind of acknowledgement", async t => {
  for (const acks of [0, 1, -1]) {
    const name = await topic(t)
    const client = await producer(t)
    const sent = await client.send({ topic: name, acks, messages: [{ value: "a" }, { value: "b" }] })
    if (acks) assert.deepEqual([sent[0].partition, sent[0].errorCode, sent[0].baseOffset], [0, 0, "0"])
    assert.deepEqual((await read(t, name, 2)).map(m => m.value), ["a", "b"])
  }
})

test("an idempotent producer keeps the order", async t => {
  const name = await topic(t)
  const client = await producer(t, { idempotent: true, maxInFlightRequests: 5 })
  for (let i = 0; i < 50; i++) await client.send({ topic: name, messages: [{ value: `${i}` }] })
  const seen = await read(t, name, 50)
  assert.deepEqual(seen.map(m => m.value), Array.from({ length: 50 }, (_, i) => `${i}`))
})

test("each codec arrives", async t => {
  for (const [codec, compression] of codecs) {
    const name = await topic(t)
    const client = await producer(t)
    const value = `compressed by ${codec} `.repeat(1000)
    await client.send({ topic: name, compression, messages: [{ value }, { value: "short" }] })
    assert.deepEqual((await read(t, name, 2)).map(m => m.value), [value, "short"])
  }
})

test("a codec of the topic is what a consumer of another codec reads", async t => {
  for (const codec of [...codecs.keys()].filter(codec => codec !== "None")) {
    const name = await topic(t, 1, { "compression.type": codec.toLowerCase() })
    const client = await producer(t)
    const value = `compressed by ${codec} `.repeat(1000)
    await client.send({ topic: name, messages: [{ value }] })
    assert.equal((await read(t, name, 1))[0].value, value)
  }
})

test("keys, headers, nulls, timestamps and partitions arrive", async t => {
  const name = await topic(t, 3)
  const client = await producer(t)
  await client.send({
    topic: name,
    messages: [
      { partition: 2, key: "k", value: "v", timestamp: "1700000000123", headers: { one: "1", twice: ["2", "3"] } },
      { partition: 2, key: null, value: null },
      { partition: 2, key: "", value: "" },
    ],
  })
  const [full, nulls, empty] = await read(t, name, 3)
  assert.deepEqual([full.partition, full.key.toString(), full.value, full.timestamp], [2, "k", "v", "1700000000123"])
  assert.deepEqual([full.headers.one.toString(), full.headers.twice.map(String)], ["1", ["2", "3"]])
  assert.deepEqual([nulls.key, nulls.value, nulls.offset], [null, null, "1"])
  assert.deepEqual([empty.key.length, empty.value], [0, ""])
})

test("one request takes records of several topics", async t => {
  const [one, two] = [await topic(t), await topic(t, 2)]
  const client = await producer(t)
  const sent = await client.sendBatch({
    topicMessages: [
      { topic: one, messages: [{ value: "1" }] },
      { topic: two, messages: [{ partition: 0, value: "2" }, { partition: 1, value: "3" }] },
    ],
  })
  assert.deepEqual(sent.map(s => [s.topicName, s.partition, s.errorCode]).sort(), [[one, 0, 0], [two, 0, 0], [two, 1, 0]].sort())
  assert.deepEqual((await read(t, two, 2)).map(m => m.value).sort(), ["2", "3"])
})

test("a record of a megabyte arrives, also at a consumer that asks for less", async t => {
  const name = await topic(t)
  const client = await producer(t)
  await client.send({ topic: name, messages: [{ value: "x".repeat(1_000_000) }] })
  const one = await member(t, fresh("group"), name, { maxBytesPerPartition: 1000, maxBytes: 1000 })
  await eventually("the record", () => one.seen.length === 1)
  assert.equal(one.seen[0].value.length, 1_000_000)
})

test("what the broker may not store is refused", async t => {
  const name = await topic(t)
  const client = await producer(t, { retry: { retries: 0 }, allowAutoTopicCreation: false })
  const send = (topic, message) => client.send({ topic, messages: [message] })
  await refuses("two megabytes", send(name, { value: "x".repeat(2_000_000) }), "MESSAGE_TOO_LARGE")
  const tomorrow = `${Date.now() + 24 * 3600 * 1000}`
  await refuses("tomorrow", send(name, { value: "x", timestamp: tomorrow }), "INVALID_TIMESTAMP")
  await refuses("an unknown topic", send(fresh("none"), { value: "x" }), "UNKNOWN_TOPIC_OR_PARTITION")
  await refuses("a bad name", send("a b", { value: "x" }), "INVALID_TOPIC_EXCEPTION")
})

test("a topic is made on first use", async t => {
  const name = fresh("made")
  const client = await producer(t)
  await client.send({ topic: name, messages: [{ value: "first" }] })
  assert.deepEqual((await read(t, name, 1)).map(m => m.value), ["first"])
})
