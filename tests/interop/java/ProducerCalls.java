import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.StringDeserializer;

/** What the Java producer sends and what becomes of it. Argument: the bootstrap server. */
public final class ProducerCalls {
    private static final int PARTITIONS = 3;
    private static final String ONE_BY_ONE = "max.in.flight.requests.per.connection"; // else a retry may come late

    private final String bootstrap;
    private final Admin admin;

    private ProducerCalls(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Calls.admin(bootstrap);
    }

    public static void main(String[] arguments) throws Exception {
        ProducerCalls calls = new ProducerCalls(arguments[0]);
        try (calls.admin) {
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                calls.roundTrip("plain, acks=1, ", codec, "enable.idempotence", "false", "acks", "1", ONE_BY_ONE, 1);
                calls.roundTrip("idempotent, ", codec, "enable.idempotence", "true");
            }
            calls.roundTrip("acks=0, ", "lz4", "enable.idempotence", "false", "acks", "0", ONE_BY_ONE, 1);
            calls.roundTrip("one batch at a time, ", "zstd", ONE_BY_ONE, 1);
            calls.codecsOfTopics();
            calls.records();
            calls.timestamps();
            calls.refusals();
        }
    }

    private String topic(String name, Map<String, String> configs) throws Exception {
        Calls.create(admin, name, PARTITIONS, configs);
        return name;
    }

    private void roundTrip(String call, String codec, Object... settings) {
        Calls.say("producer: " + call + codec, () -> {
            String topic = topic("producer-" + (call + codec).replaceAll("[^a-z0-9]+", "-"), Map.of());
            int count = send(topic, codec, settings);
            return count + " sent, " + matching(topic, count) + " read";
        });
    }

    /** Send 3000 records in batches that fill up, and return how many were acknowledged in their order. */
    private int send(String topic, String codec, Object... settings) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = Calls.producer(bootstrap, settings(codec, settings))) {
            for (int i = 0; i < 3000; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, i % PARTITIONS, "key " + i, value(i))));
            }
        }
        int inOrder = 0;
        for (int i = 0; i < sent.size(); i++) {
            RecordMetadata metadata = sent.get(i).get();
            inOrder += !metadata.hasOffset() || metadata.offset() == i / PARTITIONS ? 1 : 0;
        }
        return inOrder;
    }

    private static Object[] settings(String codec, Object... settings) {
        List<Object> all = new ArrayList<>(List.of("compression.type", codec, "linger.ms", "5"));
        Collections.addAll(all, settings);
        return all.toArray();
    }

    private static String value(int number) {
        return ("value " + number + " ").repeat(20);
    }

    /** How many records are read back as they were sent, each partition in order. */
    private int matching(String topic, int count) {
        int[] next = new int[PARTITIONS];
        int found = 0;
        for (ConsumerRecord<String, String> record : read(topic, count)) {
            int number = next[record.partition()] * PARTITIONS + record.partition();
            boolean same = record.offset() == next[record.partition()]++ && record.key().equals("key " + number)
                && record.value().equals(value(number));
            found += same ? 1 : 0;
        }
        return found;
    }

    private List<ConsumerRecord<String, String>> read(String topic, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
                Calls.properties(bootstrap), new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int partition = 0; partition < PARTITIONS; partition++) {
                partitions.add(new TopicPartition(topic, partition));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long deadline = System.nanoTime() + Calls.PATIENCE.toNanos();
            while (records.size() < count && System.nanoTime() < deadline) {
                consumer.poll(Duration.ofMillis(100)).forEach(records::add);
            }
        }
        return records;
    }

    private void codecsOfTopics() {
        for (String codec : List.of("uncompressed", "gzip", "snappy", "lz4", "zstd")) {
            Calls.say("producer: snappy to a topic that wants " + codec, () -> {
                String topic = topic("producer-to-" + codec, Map.of("compression.type", codec));
                int count = send(topic, "snappy");
                return count + " sent, " + matching(topic, count) + " read";
            });
        }
    }

    private void records() {
        Calls.say("producer: headers, null key, null value, empty value", () -> {
            String topic = topic("producer-records", Map.of());
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap)) {
                ProducerRecord<String, String> first = new ProducerRecord<>(topic, 0, 1000L, null, "no key");
                first.headers().add("a", new byte[] {1}).add("a", new byte[] {2}).add(new RecordHeader("b", (byte[]) null));
                producer.send(first);
                producer.send(new ProducerRecord<>(topic, 0, 2000L, "no value", (String) null));
                producer.send(new ProducerRecord<>(topic, 0, 3000L, "", "")).get();
            }
            return read(topic, 3).stream().map(record -> record.timestampType() + " " + record.timestamp() + " " + record.key()
                + " " + record.value() + " " + record.headers().toArray().length + " " + record.leaderEpoch()).toList();
        });
        Calls.say("producer: keys decide on the partition", () -> {
            String topic = topic("producer-keys", Map.of());
            Map<Integer, Integer> counts = new TreeMap<>();
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap)) {
                for (int i = 0; i < 100; i++) {
                    counts.merge(producer.send(new ProducerRecord<>(topic, "key " + i, "x")).get().partition(), 1, Integer::sum);
                }
            }
            return counts;
        });
        Calls.say("producer: a batch that is too large is split", () -> {
            String topic = topic("producer-split", Map.of("max.message.bytes", "5000"));
            int count = send(topic, "none", "batch.size", "16384", "linger.ms", "100");
            return count + " sent, " + matching(topic, count) + " read";
        });
        Calls.say("producer: partitionsFor", () -> {
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap)) {
                return producer.partitionsFor("producer-keys").stream().map(partition -> partition.leader().id()).toList();
            }
        });
        Calls.say("producer: a topic is made by sending to it", () -> {
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap)) {
                return producer.send(new ProducerRecord<>("producer-made", "x")).get();
            }
        });
    }

    private void timestamps() {
        Calls.say("producer: the log's time counts", () -> {
            String topic = topic("producer-append-time", Map.of("message.timestamp.type", "LogAppendTime"));
            long before = System.currentTimeMillis();
            RecordMetadata metadata;
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap)) {
                metadata = producer.send(new ProducerRecord<>(topic, 0, 1000L, "key", "x")).get();
            }
            ConsumerRecord<String, String> record = read(topic, 1).get(0);
            return record.timestampType() + " " + (metadata.timestamp() >= before) + " "
                + (record.timestamp() == metadata.timestamp());
        });
        refused("a timestamp too far in the future", Map.of(), 1L << 45, "x");
        refused("a timestamp too far in the past", Map.of("message.timestamp.before.max.ms", "1000"), 1000L, "x");
    }

    private void refusals() {
        refused("a record that is too large", Map.of("max.message.bytes", "100"), null, "x".repeat(200));
        refused("no key for a compacted topic", Map.of("cleanup.policy", "compact"), null, "x");
        Calls.say("producer: a bad topic name", () -> {
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap)) {
                return producer.send(new ProducerRecord<>("bad name", "x")).get();
            }
        });
        Calls.say("producer: a partition that is not there", () -> {
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap, "max.block.ms", "1000")) {
                return producer.send(new ProducerRecord<>("producer-keys", 9, "key", "x")).get();
            }
        });
        Calls.say("producer: a topic that was deleted is made again by sending to it", () -> {
            String topic = topic("producer-again", Map.of());
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap, "metadata.max.age.ms", "300")) {
                long first = producer.send(new ProducerRecord<>(topic, 0, "key", "before")).get().offset();
                admin.deleteTopics(List.of(topic)).all().get();
                Thread.sleep(500);
                return first + " " + producer.send(new ProducerRecord<>(topic, 0, "key", "after")).get().offset();
            }
        });
    }

    private void refused(String call, Map<String, String> configs, Long timestamp, String value) {
        Calls.say("producer: " + call, () -> {
            String topic = topic("producer-refused-" + call.replaceAll("[^a-z]+", "-"), configs);
            try (KafkaProducer<String, String> producer = Calls.producer(bootstrap)) {
                return producer.send(new ProducerRecord<>(topic, 0, timestamp, null, value)).get();
            }
        });
    }
}
