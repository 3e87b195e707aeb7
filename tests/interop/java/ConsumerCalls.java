import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** The Java consumer without a group: fetch sessions (KIP-227), positions, limits. Argument: the bootstrap server. */
public final class ConsumerCalls {
    private static final int PARTITIONS = 8;
    private static final String TOPIC = "consumer-topic";

    private final String bootstrap;
    private final Admin admin;

    private ConsumerCalls(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Calls.admin(bootstrap);
    }

    public static void main(String[] arguments) throws Exception {
        ConsumerCalls calls = new ConsumerCalls(arguments[0]);
        try (calls.admin) {
            calls.topic(TOPIC);
            calls.sessions();
            calls.positions();
            calls.limits();
            calls.topicMadeAgain();
        }
    }

    private void topic(String name) throws Exception {
        // The records have timestamps of 1970: the next look at retention would delete them.
        Calls.create(admin, name, PARTITIONS, Map.of("retention.ms", "-1"));
    }

    private KafkaConsumer<String, String> consumer(Object... settings) {
        var properties = Calls.properties(bootstrap, settings);
        properties.putIfAbsent("auto.offset.reset", "earliest");
        properties.putIfAbsent("fetch.max.wait.ms", "100");
        properties.putIfAbsent("metadata.max.age.ms", "300");
        properties.putIfAbsent("allow.auto.create.topics", "false");
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    private static List<TopicPartition> partitions(String topic, int... numbers) {
        return Arrays.stream(numbers).mapToObj(number -> new TopicPartition(topic, number)).toList();
    }

    private static int[] all() {
        return IntStream.range(0, PARTITIONS).toArray();
    }

    /** The values that come, by their names, until there are ``count`` of them. */
    private static String read(KafkaConsumer<String, String> consumer, int count) {
        List<String> values = new ArrayList<>();
        long deadline = System.nanoTime() + Calls.PATIENCE.toNanos();
        while (values.size() < count && System.nanoTime() < deadline) {
            consumer.poll(Duration.ofMillis(100)).forEach(record -> values.add(record.value()));
        }
        return Calls.sorted(values);
    }

    private void produce(int partition, String... values) throws Exception {
        Calls.produce(bootstrap, TOPIC, partition, List.of(values));
    }

    private void sessions() {
        try (KafkaConsumer<String, String> consumer = consumer()) {
            consumer.assign(partitions(TOPIC, all()));
            Calls.say("session: nothing yet", () -> consumer.poll(Duration.ofMillis(500)).count());
            for (int round = 0; round < 3; round++) {
                for (int partition : new int[] {5, 0, 7, 5}) {
                    String value = "r" + round + "p" + partition;
                    Calls.say("session: round " + round + ", one partition of eight", () -> {
                        produce(partition, value + "a", value + "b");
                        return read(consumer, 2);
                    });
                }
            }
            Calls.say("session: several partitions at once", () -> {
                for (int partition : all()) {
                    produce(partition, "all" + partition);
                }
                return read(consumer, PARTITIONS);
            });
            Calls.say("session: a paused partition is silent", () -> {
                consumer.pause(partitions(TOPIC, 1));
                produce(1, "paused");
                produce(2, "heard");
                return read(consumer, 1) + " " + consumer.poll(Duration.ofMillis(500)).count();
            });
            Calls.say("session: a resumed partition is heard", () -> {
                consumer.resume(partitions(TOPIC, 1));
                return read(consumer, 1);
            });
            Calls.say("session: fewer partitions", () -> {
                consumer.assign(partitions(TOPIC, 2, 3));
                consumer.seekToEnd(partitions(TOPIC, 2, 3));
                consumer.position(partitions(TOPIC, 2).get(0));
                consumer.position(partitions(TOPIC, 3).get(0));
                produce(1, "forgotten");
                produce(3, "kept");
                return read(consumer, 1) + " " + consumer.poll(Duration.ofMillis(500)).count();
            });
            Calls.say("session: more partitions again", () -> {
                consumer.assign(partitions(TOPIC, 1, 3, 6));
                consumer.seek(partitions(TOPIC, 1).get(0), 0);
                consumer.seekToEnd(partitions(TOPIC, 3, 6));
                return read(consumer, 3);
            });
            Calls.say("session: a new partition of the topic", () -> {
                admin.createPartitions(Map.of(TOPIC, NewPartitions.increaseTo(PARTITIONS + 1))).all().get();
                consumer.assign(partitions(TOPIC, 1, PARTITIONS));
                produce(PARTITIONS, "new");
                return read(consumer, 1);
            });
        }
        Calls.say("session: two consumers do not disturb each other", () -> {
            try (KafkaConsumer<String, String> one = consumer(); KafkaConsumer<String, String> two = consumer()) {
                one.assign(partitions(TOPIC, 2));
                two.assign(partitions(TOPIC, 2, 4));
                return read(one, 2) + " | " + read(two, 3);
            }
        });
    }

    private static String values(ConsumerRecords<String, String> records) {
        List<String> values = new ArrayList<>();
        for (ConsumerRecord<String, String> record : records) {
            values.add(record.offset() + "=" + record.value());
        }
        return values.toString();
    }

    private static String next(KafkaConsumer<String, String> consumer) {
        long deadline = System.nanoTime() + Calls.PATIENCE.toNanos();
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
        while (records.isEmpty() && System.nanoTime() < deadline) {
            records = consumer.poll(Duration.ofMillis(100));
        }
        return values(records);
    }

    private void positions() throws Exception {
        String topic = "consumer-positions";
        topic(topic);
        Calls.produce(bootstrap, topic, 0, List.of("a", "b", "c", "d", "e"));
        TopicPartition zero = new TopicPartition(topic, 0);
        TopicPartition one = new TopicPartition(topic, 1);
        try (KafkaConsumer<String, String> consumer = consumer("max.poll.records", "2")) {
            consumer.assign(List.of(zero, one));
            Calls.say("position: before the first poll", () -> consumer.position(zero));
            Calls.say("position: two records a poll", () -> next(consumer) + " " + consumer.position(zero));
            Calls.say("seek: forward", () -> {
                consumer.seek(zero, 4);
                return next(consumer);
            });
            Calls.say("seek: to the beginning", () -> {
                consumer.seekToBeginning(List.of(zero));
                return next(consumer);
            });
            Calls.say("seek: to the end", () -> {
                consumer.seekToEnd(List.of(zero));
                return consumer.position(zero) + " " + consumer.poll(Duration.ofMillis(300)).count();
            });
            Calls.say("seek: beyond the end, which resets to the earliest", () -> {
                consumer.seek(zero, 100);
                return next(consumer);
            });
            Calls.say("currentLag", () -> consumer.currentLag(zero));
            Calls.say("beginningOffsets", () -> Calls.sorted(consumer.beginningOffsets(List.of(zero, one))));
            Calls.say("endOffsets", () -> Calls.sorted(consumer.endOffsets(List.of(zero, one))));
            for (long time : new long[] {0, 1000, 1001, 5000, 5001, Instant.now().toEpochMilli()}) {
                Calls.say("offsetsForTimes: " + (time > 10000 ? "now" : time), () ->
                    Calls.sorted(consumer.offsetsForTimes(Map.of(zero, time, one, time))));
            }
            Calls.say("partitionsFor", () -> consumer.partitionsFor(topic).size());
            Calls.say("listTopics", () -> consumer.listTopics().get(topic).size());
        }
        try (KafkaConsumer<String, String> consumer = consumer()) {
            Calls.say("partitionsFor: unknown", () -> consumer.partitionsFor("consumer-nosuch"));
            Calls.say("partitionsFor: a bad name", () -> consumer.partitionsFor("bad name"));
        }
        try (KafkaConsumer<String, String> consumer = consumer("auto.offset.reset", "none")) {
            consumer.assign(List.of(zero));
            Calls.say("auto.offset.reset=none: no position", () -> consumer.poll(Duration.ofSeconds(5)).count());
            Calls.say("auto.offset.reset=none: out of range", () -> {
                consumer.seek(zero, 100);
                try {
                    return next(consumer);
                } catch (OffsetOutOfRangeException e) {
                    return e.offsetOutOfRangePartitions();
                }
            });
        }
        try (KafkaConsumer<String, String> consumer = consumer("auto.offset.reset", "latest")) {
            consumer.assign(List.of(zero));
            Calls.say("auto.offset.reset=latest", () -> consumer.position(zero));
        }
        try (KafkaConsumer<String, String> consumer = consumer("auto.offset.reset", "by_duration:PT1H")) {
            Calls.produce(bootstrap, topic, 2, List.of("long ago"));
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap)) {
                producer.send(new ProducerRecord<>(topic, 2, "key", "now")).get();
            }
            consumer.assign(partitions(topic, 2));
            Calls.say("auto.offset.reset=by_duration", () -> consumer.position(partitions(topic, 2).get(0)));
        }
        try (KafkaConsumer<String, String> consumer = consumer()) {
            consumer.assign(List.of(zero));
            Calls.say("records that were deleted under the consumer are skipped", () -> {
                admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(3))).all().get();
                consumer.seek(zero, 1);
                return next(consumer) + " from " + consumer.beginningOffsets(List.of(zero)).get(zero);
            });
        }
    }

    private void limits() throws Exception {
        String topic = "consumer-limits";
        topic(topic);
        for (int partition : all()) {
            Calls.produce(bootstrap, topic, partition, List.of("x".repeat(3000), "y".repeat(3000), "z".repeat(3000)));
        }
        Collection<Object[]> limits = List.of(
            new Object[] {"max.partition.fetch.bytes", "1"}, new Object[] {"fetch.max.bytes", "1"},
            new Object[] {"max.partition.fetch.bytes", "4000", "fetch.max.bytes", "10000"},
            new Object[] {"max.poll.records", "1"}, new Object[] {"isolation.level", "read_committed"},
            new Object[] {"isolation.level", "read_uncommitted"}, new Object[] {"check.crcs", "false"},
            new Object[] {"fetch.min.bytes", "1000000"}, new Object[] {"client.rack", "here"});
        for (Object[] limit : limits) {
            Calls.say("limit: " + Arrays.toString(limit), () -> {
                try (KafkaConsumer<String, String> consumer = consumer(limit)) {
                    consumer.assign(partitions(topic, all()));
                    return read(consumer, 3 * PARTITIONS).length() - 3 * PARTITIONS + 1;
                }
            });
        }
        Calls.say("limit: the first record is as large as it is", () -> {
            try (KafkaConsumer<String, String> consumer = consumer("max.partition.fetch.bytes", "1")) {
                consumer.assign(partitions(topic, 0));
                return next(consumer).length();
            }
        });
        Calls.say("limit: fetch.min.bytes waits, but not longer than fetch.max.wait.ms", () -> {
            try (KafkaConsumer<String, String> consumer =
                    consumer("fetch.min.bytes", "1000000", "fetch.max.wait.ms", "1000")) {
                consumer.assign(partitions(topic, 0));
                consumer.position(partitions(topic, 0).get(0));
                long start = System.nanoTime();
                next(consumer);
                long waited = Duration.ofNanos(System.nanoTime() - start).toMillis();
                return waited >= 900 && waited < 3000 ? "waited" : "waited " + waited + " ms";
            }
        });
    }

    private void topicMadeAgain() throws Exception {
        String topic = "consumer-again";
        topic(topic);
        Calls.produce(bootstrap, topic, 0, List.of("a", "b", "c"));
        try (KafkaConsumer<String, String> consumer = consumer()) {
            consumer.assign(partitions(topic, all()));
            Calls.say("a topic is read", () -> read(consumer, 3));
            Calls.say("the topic is deleted, made again and shorter: read from its beginning", () -> {
                admin.deleteTopics(List.of(topic)).all().get();
                consumer.poll(Duration.ofMillis(500));
                topic(topic);
                Calls.produce(bootstrap, topic, 0, List.of("d"));
                return read(consumer, 1);
            });
            Calls.say("the topic that was made again goes on", () -> {
                Calls.produce(bootstrap, topic, 0, List.of("e"));
                Calls.produce(bootstrap, topic, 5, List.of("f"));
                return read(consumer, 2);
            });
        }
    }
}
