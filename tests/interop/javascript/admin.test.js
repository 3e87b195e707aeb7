"use strict"

const assert = require("node:assert/strict")
const { test } = require("node:test")
const { ConfigResourceTypes, ConfigSource } = require("kafkajs")
const { admin, eventually, fill, fresh, kafka, member, read, refuses, topic } = require("./live")

test("topics are made, listed, described and deleted", async t => {
  const [adm, name] = [await admin(t), fresh("topic")]
  const wanted = { topic: name, numPartitions: 3, replicationFactor: 1, configEntries: [{ name: "retention.ms", value: "1000" }] }
  assert.equal(await adm.createTopics({ validateOnly: true, topics: [wanted], waitForLeaders: false }), true)
  assert.ok(!(await adm.listTopics()).includes(name))
  assert.equal(await adm.createTopics({ topics: [wanted], waitForLeaders: false }), true)
  assert.equal(await adm.createTopics({ topics: [wanted], waitForLeaders: false }), false)
  await eventually("the topic in the list", async () => (await adm.listTopics()).includes(name))
  const { topics } = await adm.fetchTopicMetadata({ topics: [name] })
  assert.deepEqual(
    topics[0].partitions.map(p => [p.partitionId, p.leader, p.replicas, p.isr, p.partitionErrorCode]).sort(),
    [0, 1, 2].map(p => [p, 1, [1], [1], 0])
  )
  await adm.deleteTopics({ topics: [name] })
  await eventually("the topic's end", async () => !(await adm.listTopics()).includes(name))
  const strict = kafka.admin({ retry: { retries: 0 } })
  await strict.connect()
  await refuses("a deletion again", strict.deleteTopics({ topics: [name] }), "UNKNOWN_TOPIC_OR_PARTITION")
  await refuses("its metadata", strict.fetchTopicMetadata({ topics: [name] }), "UNKNOWN_TOPIC_OR_PARTITION")
  await strict.disconnect()
})

test("topics that cannot be made are refused", async t => {
  const adm = await admin(t)
  const create = wanted => adm.createTopics({ topics: [{ topic: fresh("x"), ...wanted }], waitForLeaders: false })
  await refuses("a space", create({ topic: "a b" }), "INVALID_TOPIC_EXCEPTION")
  await refuses("no partitions", create({ numPartitions: 0 }), "INVALID_PARTITIONS")
  await refuses("two replicas", create({ replicationFactor: 2 }), "INVALID_REPLICATION_FACTOR")
  await refuses("an unknown setting", create({ configEntries: [{ name: "no.such", value: "1" }] }), "INVALID_CONFIG")
  await refuses("an unknown broker", create({ replicaAssignment: [{ partition: 0, replicas: [99] }] }), "INVALID_REPLICA_ASSIGNMENT")
  assert.equal(await create({ replicaAssignment: [{ partition: 0, replicas: [1] }, { partition: 1, replicas: [1] }] }), true)
})

test("partitions are added", async t => {
  const [adm, name] = [await admin(t), await topic(t)]
  const add = (count, more) => adm.createPartitions({ topicPartitions: [{ topic: name, count, ...more }] })
  await adm.createPartitions({ validateOnly: true, topicPartitions: [{ topic: name, count: 3 }] })
  assert.equal((await adm.fetchTopicMetadata({ topics: [name] })).topics[0].partitions.length, 1)
  await add(3)
  await eventually("three partitions", async () => (await adm.fetchTopicMetadata({ topics: [name] })).topics[0].partitions.length === 3)
  await add(4, { assignments: [[1]] })
  await refuses("fewer", add(2), "INVALID_PARTITIONS")
  await refuses("an unknown broker", add(5, { assignments: [[99]] }), "INVALID_REPLICA_ASSIGNMENT")
  await refuses("an unknown topic", add(5, { topic: fresh("none") }), "UNKNOWN_TOPIC_OR_PARTITION")
  await fill(t, name, 3, 1)
  assert.equal((await read(t, name, 1))[0].partition, 3)
})

test("offsets of a topic are listed by place and by time", async t => {
  const [adm, name, first] = [await admin(t), await topic(t, 2), 1_700_000_000_000]
  await fill(t, name, 0, 10, first)
  const sorted = list => list.sort((a, b) => a.partition - b.partition)
  assert.deepEqual(sorted(await adm.fetchTopicOffsets(name)), [
    { partition: 0, offset: "10", high: "10", low: "0" },
    { partition: 1, offset: "0", high: "0", low: "0" },
  ])
  const at = async time => sorted(await adm.fetchTopicOffsetsByTimestamp(name, time)).map(p => p.offset)
  assert.deepEqual(await at(first + 4), ["4", "0"])
  assert.deepEqual(await at(first - 1), ["0", "0"])
  assert.deepEqual(await at(first + 10), ["10", "0"])
  assert.deepEqual(await at(undefined), ["10", "0"])
})

test("offsets of a group are set, reset and fetched", async t => {
  const [adm, groupId, name] = [await admin(t), fresh("group"), await topic(t, 2)]
  await fill(t, name, 0, 10)
  const fetch = async more => (await adm.fetchOffsets({ groupId, topics: [name], ...more }))[0].partitions.map(p => p.offset)
  await adm.setOffsets({ groupId, topic: name, partitions: [{ partition: 0, offset: "4" }] })
  assert.deepEqual(await fetch(), ["4", "-1"])
  assert.deepEqual(await fetch({ resolveOffsets: true }), ["4", "0"])
  await adm.resetOffsets({ groupId, topic: name, earliest: true })
  assert.deepEqual(await fetch(), ["-2", "-2"])
  assert.deepEqual(await fetch({ resolveOffsets: true }), ["0", "0"])
  assert.deepEqual((await adm.fetchOffsets({ groupId })).map(r => r.topic), [name])
})

test("offsets of a group that runs cannot be set", async t => {
  const [adm, groupId, name] = [await admin(t), fresh("group"), await topic(t)]
  await member(t, groupId, name)
  const setting = adm.setOffsets({ groupId, topic: name, partitions: [{ partition: 0, offset: "4" }] })
  await assert.rejects(setting, /must have no running instances/)
})

test("groups are listed, described and deleted", async t => {
  const [adm, groupId, name] = [await admin(t), fresh("group"), await topic(t, 2)]
  const one = await member(t, groupId, name)
  const { groups: listed } = await adm.listGroups()
  assert.deepEqual(listed.filter(g => g.groupId === groupId), [{ groupId, protocolType: "consumer" }])
  const { groups } = await adm.describeGroups([groupId, "no-such-group"])
  const [got, none] = [groups.find(g => g.groupId === groupId), groups.find(g => g.groupId !== groupId)]
  assert.deepEqual([got.state, got.protocol, got.protocolType, got.members.length], ["Stable", "RoundRobinAssigner", "consumer", 1])
  assert.deepEqual([got.members[0].clientId, got.members[0].clientHost], ["kafkajs-test", "/127.0.0.1"])
  assert.deepEqual([none.state, none.members, none.errorCode], ["Dead", [], 0])
  await refuses("a group with a member", adm.deleteGroups([groupId]), "NON_EMPTY_GROUP")
  await one.end()
  const [deleted] = await adm.deleteGroups([groupId])
  assert.deepEqual([deleted.groupId, deleted.errorCode ?? 0], [groupId, 0])
  await refuses("an unknown group", adm.deleteGroups([groupId]), "GROUP_ID_NOT_FOUND")
})

test("configs are described with where they come from", async t => {
  const [adm, name] = [await admin(t), await topic(t, 1, { "retention.ms": "1000" })]
  const describe = resources => adm.describeConfigs({ includeSynonyms: true, resources })
  const { resources } = await describe([
    { type: ConfigResourceTypes.TOPIC, name, configNames: ["retention.ms", "max.message.bytes"] },
    { type: ConfigResourceTypes.BROKER, name: "1", configNames: ["num.partitions"] },
  ])
  const entries = Object.fromEntries(resources.flatMap(r => r.configEntries).map(e => [e.configName, e]))
  const { TOPIC_CONFIG, DEFAULT_CONFIG } = ConfigSource
  const facts = e => [e.configValue, e.configSource, e.isSensitive, e.readOnly]
  assert.deepEqual(facts(entries["retention.ms"]), ["1000", TOPIC_CONFIG, false, false])
  assert.deepEqual(facts(entries["max.message.bytes"]), ["1048588", DEFAULT_CONFIG, false, false])
  assert.deepEqual(facts(entries["num.partitions"]).slice(0, 1), ["1"])
  assert.deepEqual(entries["max.message.bytes"].configSynonyms.map(s => s.configName), ["message.max.bytes"])
  const unknown = describe([{ type: ConfigResourceTypes.TOPIC, name: "no-such-topic" }])
  await refuses("an unknown topic", unknown, "UNKNOWN_TOPIC_OR_PARTITION")
})

test("configs are altered", async t => {
  const [adm, name] = [await admin(t), await topic(t, 1, { "segment.ms": "5000" })]
  const alter = (entry, more = {}) => {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: more.name ?? name, configEntries: [entry] }]
    return adm.alterConfigs({ validateOnly: more.validateOnly ?? false, resources })
  }
  const get = async () => {
    const asked = { type: ConfigResourceTypes.TOPIC, name, configNames: ["retention.ms", "segment.ms"] }
    const { resources } = await adm.describeConfigs({ includeSynonyms: false, resources: [asked] })
    return resources[0].configEntries.map(e => `${e.configName}=${e.configValue}`).sort().join()
  }
  const wanted = { name: "retention.ms", value: "1000" }
  await alter(wanted, { validateOnly: true })
  assert.equal(await get(), "retention.ms=604800000,segment.ms=5000")
  await alter(wanted)
  await eventually("only the new setting", async () => (await get()) === "retention.ms=1000,segment.ms=604800000")
  await refuses("a word", alter({ name: "retention.ms", value: "long" }), "INVALID_CONFIG")
  await refuses("an unknown setting", alter({ name: "no.such", value: "1" }), "INVALID_CONFIG")
  await refuses("an unknown topic", alter(wanted, { name: "no-such-topic" }), "UNKNOWN_TOPIC_OR_PARTITION")
})

test("records are deleted up to an offset", async t => {
  const [adm, name] = [await admin(t), await topic(t, 2)]
  await fill(t, name, 0, 10)
  await fill(t, name, 1, 3)
  const low = async () => (await adm.fetchTopicOffsets(name)).sort((a, b) => a.partition - b.partition).map(p => p.low)
  assert.deepEqual(await low(), ["0", "0"])
  await adm.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: "4" }] })
  assert.deepEqual(await low(), ["4", "0"])
  await adm.deleteTopicRecords({ topic: name, partitions: [{ partition: 1, offset: "-1" }] })
  assert.deepEqual(await low(), ["4", "3"])
  const beyond = adm.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: "11" }] })
  await refuses("beyond the end", beyond, "OFFSET_OUT_OF_RANGE")
  assert.equal((await read(t, name, 6))[0].offset, "4")
})

test("replicas are reassigned to this broker only", async t => {
  const [adm, name] = [await admin(t), await topic(t)]
  const assign = (partition, replicas, topic = name) =>
    adm.alterPartitionReassignments({ topics: [{ topic, partitionAssignment: [{ partition, replicas }] }] })
  await assign(0, [1])
  await refuses("an unknown broker", assign(0, [99]), "INVALID_REPLICA_ASSIGNMENT")
  await refuses("an unknown partition", assign(9, [1]), "UNKNOWN_TOPIC_OR_PARTITION")
  await refuses("an unknown topic", assign(0, [1], fresh("none")), "UNKNOWN_TOPIC_OR_PARTITION")
  assert.deepEqual((await adm.listPartitionReassignments({ topics: [{ topic: name, partitions: [0] }] })).topics, [])
  assert.deepEqual((await adm.listPartitionReassignments({})).topics, [])
})

test("the cluster is one broker that is also the controller", async t => {
  const { brokers, controller, clusterId } = await (await admin(t)).describeCluster()
  const [host, port] = process.env.BOOTSTRAP.split(":")
  assert.deepEqual(brokers, [{ nodeId: 1, host, port: Number(port) }])
  assert.deepEqual([controller, clusterId.length], [1, 22])
})
