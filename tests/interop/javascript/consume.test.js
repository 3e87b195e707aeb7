"use strict"

const assert = require("node:assert/strict")
const { test } = require("node:test")
const { AssignerProtocol, PartitionAssigners } = require("kafkajs")
const { admin, connected, eventually, fill, fresh, kafka, member, sleep, topic } = require("./live")

const counts = members => members.map(m => m.assigned().length).sort((a, b) => a - b)

/** Wait until the members have these numbers of partitions, and no partition twice. */
const shared = (wanted, ...members) =>
  eventually(`partitions shared as ${wanted}`, () => {
    const all = members.flatMap(m => m.assigned())
    return String(counts(members)) === String(wanted) && new Set(all).size === all.length
  })

test("members share their partitions as they come and go", async t => {
  const [group, name] = [fresh("group"), await topic(t, 6)]
  const one = await member(t, group, name)
  await shared([6], one)
  const two = await member(t, group, name)
  await shared([3, 3], one, two)
  const three = await member(t, group, name)
  await shared([2, 2, 2], one, two, three)
  for (let partition = 0; partition < 6; partition++) await fill(t, name, partition, 5)
  const records = () => [one, two, three].flatMap(m => m.seen.map(s => `${s.partition}:${s.value}`))
  await eventually("thirty records", () => records().length >= 30)
  assert.equal(new Set(records()).size, 30)
  await two.end()
  await shared([3, 3], one, three)
  await one.end()
  await shared([6], three)
  await fill(t, name, 0, 1)
  await eventually("a record for the last member", () => three.seen.some(s => s.partition === 0 && s.offset === "5"))
})

test("an assigner of the user decides who reads what", async t => {
  const [group, name] = [fresh("group"), await topic(t, 3)]
  const everythingToOne = ({ cluster }) => ({
    name: "everything-to-one",
    version: 1,
    assign: async ({ members, topics }) => {
      const [first, ...rest] = members.map(m => m.memberId).sort()
      const assignment = { [topics[0]]: cluster.findTopicPartitionMetadata(topics[0]).map(p => p.partitionId) }
      const encode = assignment => AssignerProtocol.MemberAssignment.encode({ version: 1, assignment, userData: Buffer.alloc(0) })
      return [
        { memberId: first, memberAssignment: encode(assignment) },
        ...rest.map(memberId => ({ memberId, memberAssignment: encode({}) })),
      ]
    },
    protocol: ({ topics }) => ({
      name: "everything-to-one",
      metadata: AssignerProtocol.MemberMetadata.encode({ version: 1, topics, userData: Buffer.alloc(0) }),
    }),
  })
  const options = { partitionAssigners: [everythingToOne, PartitionAssigners.roundRobin] }
  const one = await member(t, group, name, options)
  const two = await member(t, group, name, options)
  await shared([0, 3], one, two)
  const described = await (await admin(t)).describeGroups([group])
  assert.equal(described.groups[0].protocol, "everything-to-one")
})

test("a group goes on where its last member ended", async t => {
  const [group, name] = [fresh("group"), await topic(t)]
  await fill(t, name, 0, 5)
  const one = await member(t, group, name)
  await eventually("five records", () => one.seen.length === 5)
  await one.end()
  await fill(t, name, 0, 2)
  const two = await member(t, group, name)
  await eventually("two more", () => two.seen.length >= 2)
  assert.deepEqual(two.seen.map(s => s.offset), ["5", "6"])
})

test("a member commits what it says, and goes on there", async t => {
  const [group, name] = [fresh("group"), await topic(t)]
  await fill(t, name, 0, 5)
  const one = await member(t, group, name, { run: { autoCommit: false } })
  await eventually("five records", () => one.seen.length === 5)
  await one.consumer.commitOffsets([{ topic: name, partition: 0, offset: "3", metadata: "why" }])
  await one.end()
  const offsets = await (await admin(t)).fetchOffsets({ groupId: group, topics: [name] })
  assert.deepEqual(offsets[0].partitions, [{ partition: 0, offset: "3", metadata: "why" }])
  const two = await member(t, group, name)
  await eventually("what was not committed", () => two.seen.length >= 2)
  assert.deepEqual(two.seen.map(s => s.offset), ["3", "4"])
})

test("a consumer that does not start at the beginning sees only what comes", async t => {
  const name = await topic(t)
  await fill(t, name, 0, 3)
  const seen = []
  const consumer = await connected(t, kafka.consumer({ groupId: fresh("group"), maxWaitTimeInMs: 5000 }))
  const fetched = new Promise(resolve => consumer.on(consumer.events.FETCH_START, resolve))
  await consumer.subscribe({ topic: name, fromBeginning: false })
  await consumer.run({ eachMessage: async ({ message }) => seen.push(message.offset) })
  await fetched
  await sleep(500)
  const sent = Date.now()
  await fill(t, name, 0, 1)
  await eventually("the record", () => seen.length > 0)
  assert.deepEqual(seen, ["3"])
  assert.ok(Date.now() - sent < 3000, "a long poll of 5 s is answered when there is a record")
})

test("a pattern subscribes to the topics that match", async t => {
  const prefix = fresh("pattern")
  const adm = await admin(t)
  await adm.createTopics({ topics: ["one", "two"].map(n => ({ topic: `${prefix}-${n}` })), waitForLeaders: false })
  await eventually("both topics", async () => (await adm.listTopics()).filter(n => n.startsWith(prefix)).length === 2)
  const consumer = await connected(t, kafka.consumer({ groupId: fresh("group") }))
  await consumer.subscribe({ topic: new RegExp(`^${prefix}-.*`), fromBeginning: true })
  const seen = new Set()
  await consumer.run({ eachMessage: async ({ topic }) => seen.add(topic) })
  await fill(t, `${prefix}-one`, 0, 1)
  await fill(t, `${prefix}-two`, 0, 1)
  await eventually("a record of each", () => seen.size === 2)
})

test("a consumer seeks forwards and backwards", async t => {
  const name = await topic(t)
  await fill(t, name, 0, 10)
  const one = await member(t, fresh("group"), name)
  await eventually("ten records", () => one.seen.length === 10)
  for (const offset of ["8", "2", "9", "0"]) {
    one.seen.length = 0
    one.consumer.seek({ topic: name, partition: 0, offset })
    await eventually(`offset ${offset}`, () => one.seen.length > 0)
    assert.equal(one.seen[0].offset, offset)
    await eventually("the end", () => one.seen.at(-1).offset === "9")
  }
  one.seen.length = 0
  one.consumer.seek({ topic: name, partition: 0, offset: "99" })
  await eventually("the start again, as the offset is out of range", () => one.seen.length === 10)
})

test("a consumer pauses topics and partitions and resumes them", async t => {
  const name = await topic(t, 2)
  const one = await member(t, fresh("group"), name)
  one.consumer.pause([{ topic: name, partitions: [1] }])
  assert.deepEqual(one.consumer.paused(), [{ topic: name, partitions: [1] }])
  await fill(t, name, 0, 2)
  await fill(t, name, 1, 2)
  await eventually("two records of partition 0", () => one.seen.length === 2)
  await sleep(500)
  assert.deepEqual(one.seen.map(s => s.partition), [0, 0])
  one.consumer.resume([{ topic: name, partitions: [1] }])
  await eventually("those of partition 1", () => one.seen.length === 4)
  one.consumer.pause([{ topic: name }])
  await sleep(300)
  await fill(t, name, 0, 1)
  await sleep(500)
  assert.equal(one.seen.length, 4)
  one.consumer.resume([{ topic: name }])
  await eventually("the last record", () => one.seen.length === 5)
})

test("a batch tells where it ends and is committed as far as it was resolved", async t => {
  const [group, name] = [fresh("group"), await topic(t)]
  await fill(t, name, 0, 10)
  const consumer = await connected(t, kafka.consumer({ groupId: group, maxWaitTimeInMs: 200 }))
  await consumer.subscribe({ topic: name, fromBeginning: true })
  const batches = []
  await consumer.run({
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, commitOffsetsIfNecessary, uncommittedOffsets, isRunning }) => {
      batches.push([batch.topic, batch.partition, batch.highWatermark, batch.firstOffset(), batch.lastOffset(), batch.offsetLag()])
      assert.ok(isRunning())
      for (const message of batch.messages.slice(0, 6)) resolveOffset(message.offset)
      await heartbeat()
      await commitOffsetsIfNecessary(uncommittedOffsets())
      consumer.pause([{ topic: name }])
    },
  })
  await eventually("a batch", () => batches.length > 0)
  assert.deepEqual(batches[0], [name, 0, "10", "0", "9", "0"])
  await consumer.disconnect()
  const offsets = await (await admin(t)).fetchOffsets({ groupId: group, topics: [name] })
  assert.equal(offsets[0].partitions[0].offset, "6")
})

test("partitions are read side by side", async t => {
  const name = await topic(t, 4)
  for (let partition = 0; partition < 4; partition++) await fill(t, name, partition, 1)
  let [now, most] = [0, 0]
  const each = async (payload, keep) => {
    most = Math.max(most, ++now)
    await sleep(300)
    now--
    keep(payload)
  }
  const one = await member(t, fresh("group"), name, { each, run: { partitionsConsumedConcurrently: 4 } })
  await eventually("four records", () => one.seen.length === 4)
  assert.ok(most > 1, "never more than one at a time")
})

test("a record that fails is read again", async t => {
  const [group, name] = [fresh("group"), await topic(t)]
  await fill(t, name, 0, 3)
  let failures = 2
  const each = async (payload, keep) => {
    if (payload.message.offset === "1" && failures-- > 0) throw new Error("not now")
    keep(payload)
  }
  const one = await member(t, group, name, { each })
  await eventually("three records", () => one.seen.length === 3)
  assert.deepEqual(one.seen.map(s => s.offset), ["0", "1", "2"])
})

test("a member that is silent loses its partitions", async t => {
  const [group, name] = [fresh("group"), await topic(t, 2)]
  const asleep = { each: () => sleep(12_000, undefined, { ref: false }), sessionTimeout: 6000, rebalanceTimeout: 6000 }
  await member(t, group, name, asleep)
  await fill(t, name, 0, 1)
  await fill(t, name, 1, 1)
  const two = await member(t, group, name)
  await eventually("both partitions", () => two.assigned().length === 2)
  await eventually("both records", () => two.seen.length === 2)
})
