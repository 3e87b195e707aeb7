"use strict"

const assert = require("node:assert/strict")
const { test } = require("node:test")
const { eventually, fresh, member, producer, sleep, topic } = require("./live")

const KEYS = 13
const SETTINGS = { "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.ms": "50" }

test("a compacted topic is the map of its last values", async t => {
  const name = await topic(t, 1, SETTINGS)
  const client = await producer(t)
  const wanted = new Map()
  for (let round = 0; round < 10; round++) {
    const messages = Array.from({ length: 40 }, (_, i) => ({
      key: `key ${i % KEYS}`,
      value: i % 5 ? `${round}.${i}` : null,
    }))
    for (const { key, value } of messages) value === null ? wanted.delete(key) : wanted.set(key, value)
    await client.send({ topic: name, messages })
    await sleep(60) // the next round goes into another segment
  }
  await eventually("each key once", async () => {
    const [{ baseOffset }] = await client.send({ topic: name, messages: [{ key: "end", value: "end" }] })
    await sleep(200)
    const one = await member(t, fresh("group"), name)
    await eventually("the end", () => one.seen.some(s => s.offset === baseOffset))
    await one.end()
    const seen = one.seen.map(s => ({ ...s, key: s.key.toString() }))
    assert.ok(seen.every((s, at) => at === 0 || Number(seen[at - 1].offset) < Number(s.offset)))
    const last = new Map(seen.map(s => [s.key, s.value]))
    const found = [...last].filter(([key, value]) => key !== "end" && value !== null)
    assert.deepEqual(found.sort(), [...wanted].sort())
    const keys = seen.map(s => s.key).filter(key => key !== "end")
    return new Set(keys).size === keys.length
  })
})
