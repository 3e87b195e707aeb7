import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ClassicGroupDescription;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.DescribeConsumerGroupsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Classic groups: their members, the Java consumer, and the Java admin client's calls. Argument: the bootstrap server. */
public final class GroupCalls {
    private static final String TOPIC = "group-topic";
    private static final TopicPartition ZERO = new TopicPartition(TOPIC, 0);
    private static final String EMPTY = "group-empty";
    private static final String LIVE = "group-live";

    private final String bootstrap;
    private final Admin admin;

    private GroupCalls(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Calls.admin(bootstrap);
    }

    public static void main(String[] arguments) throws Exception {
        GroupCalls calls = new GroupCalls(arguments[0]);
        try (calls.admin) {
            Calls.create(calls.admin, TOPIC, 4, Map.of());
            for (int partition = 0; partition < 4; partition++) {
                Calls.produce(calls.bootstrap, TOPIC, partition, List.of("a", "b", "c"));
            }
            calls.commits();
            calls.rebalances();
            calls.emptyGroup();
            calls.liveGroup();
            calls.unknownGroup();
        }
    }

    private KafkaConsumer<String, String> consumer(String group, Object... settings) {
        var properties = Calls.properties(bootstrap, settings);
        properties.put("group.id", group);
        properties.putIfAbsent("client.id", "member");
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "earliest");
        properties.put("heartbeat.interval.ms", "200");
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    /** Poll all in turn until they share the partitions as expected. */
    private static void settle(String expected, List<KafkaConsumer<String, String>> consumers) {
        long deadline = System.nanoTime() + Calls.PATIENCE.toNanos();
        while (System.nanoTime() < deadline && !shares(consumers).equals(expected)) {
            for (KafkaConsumer<String, String> consumer : consumers) {
                consumer.poll(Duration.ofMillis(50));
            }
        }
    }

    private KafkaConsumer<String, String> joined(String group, Object... settings) {
        KafkaConsumer<String, String> consumer = consumer(group, settings);
        consumer.subscribe(List.of(TOPIC));
        settle("4", List.of(consumer));
        return consumer;
    }

    /** How many partitions each has. */
    private static String shares(List<KafkaConsumer<String, String>> consumers) {
        return consumers.stream().map(consumer -> String.valueOf(consumer.assignment().size())).sorted()
            .collect(Collectors.joining(" "));
    }

    private void commits() throws Exception {
        try (KafkaConsumer<String, String> consumer = joined(EMPTY)) {
            while (consumer.assignment().stream().anyMatch(partition -> consumer.position(partition) < 3)) {
                consumer.poll(Duration.ofMillis(50));
            }
            Calls.say("consumer: position after reading", () -> consumer.position(ZERO));
            Calls.say("consumer: nothing is committed", () -> consumer.committed(Set.of(ZERO)));
            Calls.say("consumer: commitSync", () -> {
                consumer.commitSync();
                return consumer.committed(Set.of(ZERO)).get(ZERO).offset();
            });
            Calls.say("consumer: commitSync with metadata", () -> {
                consumer.commitSync(Map.of(ZERO, new OffsetAndMetadata(2, "two")));
                return consumer.committed(Set.of(ZERO)).get(ZERO).metadata();
            });
            Calls.say("consumer: commitSync with too much metadata", () -> {
                consumer.commitSync(Map.of(ZERO, new OffsetAndMetadata(2, "x".repeat(5000))));
                return null;
            });
            Calls.say("consumer: commitAsync", () -> {
                List<Object> heard = new ArrayList<>();
                consumer.commitAsync(Map.of(ZERO, new OffsetAndMetadata(1)), (offsets, error) -> heard.add(
                    error == null ? offsets.get(ZERO).offset() : error.getClass().getSimpleName()));
                for (int i = 0; i < 50 && heard.isEmpty(); i++) {
                    consumer.poll(Duration.ofMillis(100));
                }
                return heard;
            });
            Calls.say("consumer: group metadata", () ->
                consumer.groupMetadata().groupId() + " generation " + consumer.groupMetadata().generationId());
            consumer.commitSync();
        }
        try (KafkaConsumer<String, String> consumer = joined(EMPTY)) {
            Calls.say("consumer: goes on where the group was", () -> consumer.position(ZERO));
        }
        try (KafkaConsumer<String, String> consumer = consumer("group-pattern", "metadata.max.age.ms", "300")) {
            consumer.subscribe(java.util.regex.Pattern.compile("group-to.*"));
            settle("4", List.of(consumer));
            Calls.say("consumer: subscribes to a pattern", () -> Calls.sorted(consumer.assignment()));
        }
    }

    private void rebalances() {
        for (String name : List.of("Range", "RoundRobin", "Sticky", "CooperativeSticky")) {
            String assignor = "org.apache.kafka.clients.consumer." + name + "Assignor";
            List<KafkaConsumer<String, String>> members = new ArrayList<>();
            for (String expected : List.of("4", "2 2", "1 1 2")) {
                Calls.say("rebalance: " + name + ", " + (members.size() + 1) + " members", () -> {
                    KafkaConsumer<String, String> member =
                        consumer("group-" + name, "partition.assignment.strategy", assignor);
                    members.add(member);
                    member.subscribe(List.of(TOPIC));
                    settle(expected, members);
                    return shares(members);
                });
            }
            Calls.say("rebalance: " + name + ", one leaves", () -> {
                members.remove(0).close();
                settle("2 2", members);
                return shares(members);
            });
            members.forEach(KafkaConsumer::close);
        }
        KafkaConsumer<String, String> ranger = joined("group-mixed",
            "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        KafkaConsumer<String, String> sticky = consumer("group-mixed",
            "partition.assignment.strategy", "org.apache.kafka.clients.consumer.StickyAssignor");
        try (ranger; sticky) {
            sticky.subscribe(List.of(TOPIC));
            Calls.say("rebalance: assignors that have none in common", () -> sticky.poll(Duration.ofSeconds(5)));
        }
        Calls.say("rebalance: a static member comes back without one", () -> {
            Object[] settings = {"group.instance.id", "group-instance", "session.timeout.ms", "30000"};
            KafkaConsumer<String, String> first = joined("group-static", settings);
            int generation = first.groupMetadata().generationId();
            first.close();
            try (KafkaConsumer<String, String> second = joined("group-static", settings)) {
                return "generations later: " + (second.groupMetadata().generationId() - generation);
            }
        });
    }

    private String committed(String group) throws Exception {
        return Calls.sorted(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get());
    }

    private void emptyGroup() {
        Calls.say("describeConsumerGroups: empty", () -> described(EMPTY));
        Calls.say("listConsumerGroupOffsets", () -> committed(EMPTY));
        Calls.say("listConsumerGroupOffsets: some partitions, stable", () -> Calls.sorted(admin.listConsumerGroupOffsets(
            Map.of(EMPTY, new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(ZERO, new TopicPartition("x", 1)))),
            new ListConsumerGroupOffsetsOptions().requireStable(true)).partitionsToOffsetAndMetadata(EMPTY).get()));
        Calls.say("listConsumerGroupOffsets: two groups", () -> admin.listConsumerGroupOffsets(
            Map.of(EMPTY, new ListConsumerGroupOffsetsSpec(), "group-nosuch", new ListConsumerGroupOffsetsSpec()))
            .all().get().values().stream().map(Map::size).sorted().toList());
        alter("alterConsumerGroupOffsets", EMPTY, ZERO, new OffsetAndMetadata(1, "one"));
        alter("alterConsumerGroupOffsets: beyond the end", EMPTY, ZERO, new OffsetAndMetadata(100));
        alter("alterConsumerGroupOffsets: an unknown partition", EMPTY, new TopicPartition(TOPIC, 9), new OffsetAndMetadata(1));
        alter("alterConsumerGroupOffsets: an unknown topic", EMPTY, new TopicPartition("x", 0), new OffsetAndMetadata(1));
        alter("alterConsumerGroupOffsets: a new group", "group-altered", ZERO, new OffsetAndMetadata(1));
        deleteOffset("deleteConsumerGroupOffsets", EMPTY, ZERO);
        deleteOffset("deleteConsumerGroupOffsets: again", EMPTY, ZERO);
        deleteOffset("deleteConsumerGroupOffsets: an unknown topic", EMPTY, new TopicPartition("x", 0));
        Calls.say("listConsumerGroupOffsets: after deleteConsumerGroupOffsets", () -> committed(EMPTY));
        Calls.say("removeMembersFromConsumerGroup: an empty group", () -> admin.removeMembersFromConsumerGroup(
            EMPTY, new RemoveMembersFromConsumerGroupOptions()).all().get());
        Calls.say("deleteConsumerGroups", () -> admin.deleteConsumerGroups(List.of(EMPTY)).all().get());
        Calls.say("deleteConsumerGroups: a group of offsets alone", () ->
            admin.deleteConsumerGroups(List.of("group-altered")).all().get());
    }

    private void alter(String call, String group, TopicPartition partition, OffsetAndMetadata offset) {
        Calls.say(call, () -> {
            admin.alterConsumerGroupOffsets(group, Map.of(partition, offset)).all().get();
            return committed(group);
        });
    }

    private void deleteOffset(String call, String group, TopicPartition partition) {
        Calls.say(call, () -> admin.deleteConsumerGroupOffsets(group, Set.of(partition)).partitionResult(partition).get());
    }

    private String described(String group) throws Exception {
        ConsumerGroupDescription description = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
        return description.groupState() + " " + description.type() + " '" + description.partitionAssignor() + "' simple "
            + description.isSimpleConsumerGroup() + " coordinator " + description.coordinator().id() + " members "
            + description.members().stream().map(member -> member.clientId() + " " + member.host() + " "
                + member.groupInstanceId().orElse("-") + " " + member.assignment().topicPartitions().size()).toList();
    }

    private void liveGroup() throws Exception {
        try (KafkaConsumer<String, String> member = joined(LIVE, "group.instance.id", "group-instance")) {
            member.commitSync();
            Calls.say("describeConsumerGroups: live", () -> described(LIVE));
            Calls.say("describeConsumerGroups: operations", () -> Calls.sorted(admin.describeConsumerGroups(List.of(LIVE),
                new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true)).all().get().get(LIVE)
                .authorizedOperations()));
            Calls.say("describeClassicGroups: live", () -> {
                ClassicGroupDescription group = admin.describeClassicGroups(List.of(LIVE)).all().get().get(LIVE);
                return group.protocol() + " " + group.protocolData() + " " + group.state() + " " + group.members().size();
            });
            Calls.say("listGroups: live", () -> Calls.sorted(admin.listGroups(new ListGroupsOptions()
                .inGroupStates(Set.of(GroupState.STABLE)).withTypes(Set.of(GroupType.CLASSIC))).all().get().stream()
                .filter(group -> group.groupId().equals(LIVE)).toList()));
            Calls.say("listGroups: of another protocol type", () ->
                admin.listGroups(new ListGroupsOptions().withProtocolTypes(Set.of("connect"))).all().get());
            alter("alterConsumerGroupOffsets: live", LIVE, ZERO, new OffsetAndMetadata(1));
            deleteOffset("deleteConsumerGroupOffsets: live", LIVE, ZERO);
            Calls.say("deleteConsumerGroups: live", () -> admin.deleteConsumerGroups(List.of(LIVE)).all().get());
            Calls.say("removeMembersFromConsumerGroup: an unknown instance", () -> admin.removeMembersFromConsumerGroup(LIVE,
                new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("no-such-instance")))).all().get());
            Calls.say("removeMembersFromConsumerGroup: an instance", () -> admin.removeMembersFromConsumerGroup(LIVE,
                new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("group-instance")))).all().get());
            Calls.say("describeConsumerGroups: its member was removed", () -> described(LIVE));
        }
        Calls.say("removeMembersFromConsumerGroup: all", () -> {
            KafkaConsumer<String, String> member = joined("group-removed");
            admin.removeMembersFromConsumerGroup("group-removed", new RemoveMembersFromConsumerGroupOptions()).all().get();
            String left = described("group-removed");
            member.close();
            return left;
        });
    }

    private void unknownGroup() {
        String group = "group-nosuch";
        Calls.say("describeConsumerGroups: unknown", () -> described(group));
        Calls.say("describeClassicGroups: unknown", () -> admin.describeClassicGroups(List.of(group)).all().get());
        Calls.say("listConsumerGroupOffsets: unknown", () -> committed(group));
        deleteOffset("deleteConsumerGroupOffsets: unknown", group, ZERO);
        Calls.say("deleteConsumerGroups: unknown", () -> admin.deleteConsumerGroups(List.of(group)).all().get());
        Calls.say("deleteConsumerGroups: an empty name", () -> admin.deleteConsumerGroups(List.of("")).all().get());
        Calls.say("removeMembersFromConsumerGroup: unknown", () -> admin.removeMembersFromConsumerGroup(
            group, new RemoveMembersFromConsumerGroupOptions(List.of(new MemberToRemove("x")))).all().get());
    }
}
