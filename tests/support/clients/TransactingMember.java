import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.StringJoiner;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ApplicationRecoverableException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The Java clients as transacting.py has confluent-kafka; the producer speaks version 2 of transactions (KIP-890).
 * Arguments: protocol, bootstrap server, source, topic, group, transactional id, journal, session timeout in ms,
 * seed, transaction timeout in ms.
 */
public final class TransactingMember {
    private static final int BATCH_MAX = 30;
    private static final int WORK_MS = 100;
    private static final double ABORTS = 0.15;
    private static final int CANNOT_GO_ON = 3;
    private static final Duration POLL = Duration.ofMillis(200);
    private static final Duration TIMEOUT = Duration.ofSeconds(30);

    private interface Call {
        void run();
    }

    private final FileOutputStream journal;
    private final KafkaConsumer<String, String> consumer;
    private final KafkaProducer<String, String> producer;
    private final String topic;
    private final String name;
    private final Random chance;
    private int number;

    private TransactingMember(String[] arguments) throws IOException {
        this.journal = new FileOutputStream(arguments[6], true);
        this.topic = arguments[3];
        this.name = arguments[6].replaceAll(".*/|\\.jsonl$", "");
        this.chance = new Random(arguments[8].hashCode());
        Properties reading = both(arguments);
        reading.put("group.id", arguments[4]);
        reading.put("group.protocol", arguments[0]);
        reading.put("enable.auto.commit", "false");
        reading.put("auto.offset.reset", "earliest");
        reading.put("isolation.level", "read_committed");
        reading.put("max.poll.records", String.valueOf(BATCH_MAX));
        if (arguments[0].equals("classic")) {
            reading.put("session.timeout.ms", arguments[7]);
            reading.put("heartbeat.interval.ms", "500");
            reading.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        }
        Properties writing = both(arguments);
        writing.put("transactional.id", arguments[5]);
        writing.put("transaction.timeout.ms", arguments[9]);
        writing.put("linger.ms", "1");
        this.consumer = new KafkaConsumer<>(reading, new StringDeserializer(), new StringDeserializer());
        this.producer = new KafkaProducer<>(writing, new StringSerializer(), new StringSerializer());
    }

    private static Properties both(String[] arguments) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[1]);
        settings.put("reconnect.backoff.max.ms", "500");
        return settings;
    }

    public static void main(String[] arguments) throws Exception {
        AtomicBoolean isOver = new AtomicBoolean();
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            isOver.set(true);
            try {
                main.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        var member = new TransactingMember(arguments);
        int status = member.live(arguments[2], arguments[5], isOver);
        if (status != 0) {
            // The hook would wait for this thread.
            Runtime.getRuntime().halt(status);
        }
    }

    private int live(String source, String transactionalId, AtomicBoolean isOver) throws Exception {
        try {
            patiently(producer::initTransactions);
            consumer.subscribe(List.of(source), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    StringJoiner numbers = new StringJoiner(", ", "\"assigned\": [", "]");
                    partitions.forEach(at -> numbers.add(String.valueOf(at.partition())));
                    note(numbers.toString());
                }
            });
            note("\"opened\": " + quoted(transactionalId));
            while (!isOver.get()) {
                step();
            }
        } catch (KafkaException e) {
            note("\"error\": " + quoted("cannot go on: " + e));
            producer.close(Duration.ZERO);
            consumer.close();
            return CANNOT_GO_ON;
        }
        producer.close();
        consumer.close();
        note("\"closed\": true");
        return 0;
    }

    /** Does one transaction, if there is anything to do. Throws KafkaException when it is over with this member. */
    private void step() throws Exception {
        ConsumerRecords<String, String> polled = consumer.poll(POLL);
        if (polled.isEmpty()) {
            return;
        }
        List<ConsumerRecord<String, String>> batch = new ArrayList<>();
        polled.forEach(batch::add);
        String transaction = name + "/" + ++number;
        StringJoiner records = new StringJoiner(", ", "[", "]");
        for (ConsumerRecord<String, String> record : batch) {
            String key = record.key() == null ? "" : record.key();
            String at = record.partition() + ", " + record.offset();
            records.add("[" + at + ", " + quoted(record.value()) + ", " + quoted(key) + "]");
        }
        note("\"begins\": " + quoted(transaction) + ", \"polled\": " + records);
        try {
            transact(transaction, batch);
        } catch (ApplicationRecoverableException | InvalidConfigurationException | OutOfOrderSequenceException e) {
            note("\"refused\": " + quoted(e.toString()));
            throw e;
        } catch (KafkaException e) {
            note("\"refused\": " + quoted(e.toString()));
            abort(batch);
        }
    }

    private void transact(String transaction, List<ConsumerRecord<String, String>> batch) throws Exception {
        String failsAt = "";
        if (chance.nextDouble() < ABORTS) {
            failsAt = chance.nextBoolean() ? "produce" : "offsets";
        }
        producer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (ConsumerRecord<String, String> record : batch) {
            producer.send(new ProducerRecord<>(topic, record.partition(), transaction, record.value()));
            var at = new TopicPartition(record.topic(), record.partition());
            offsets.put(at, new OffsetAndMetadata(record.offset() + 1));
        }
        Thread.sleep(chance.nextInt(WORK_MS));
        if (failsAt.equals("produce")) {
            abort(batch);
            return;
        }
        patiently(() -> producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata()));
        Thread.sleep(chance.nextInt(WORK_MS));
        if (failsAt.equals("offsets")) {
            abort(batch);
            return;
        }
        StringJoiner commits = new StringJoiner(", ", "\"commits\": {", "}");
        offsets.forEach((at, offset) -> commits.add("\"" + at.partition() + "\": " + offset.offset()));
        note(commits.toString());
        patiently(producer::commitTransaction);
        note("\"committed\": true");
    }

    /** Aborts, and goes back to what is committed. What was revoked is positioned when it is assigned. */
    private void abort(List<ConsumerRecord<String, String>> batch) {
        patiently(producer::abortTransaction);
        note("\"aborted\": true");
        Set<TopicPartition> still = new HashSet<>();
        batch.forEach(record -> still.add(new TopicPartition(record.topic(), record.partition())));
        still.retainAll(consumer.assignment());
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(still, TIMEOUT);
        for (TopicPartition at : still) {
            OffsetAndMetadata position = committed.get(at);
            if (position == null) {
                consumer.seekToBeginning(List.of(at));
            } else {
                consumer.seek(at, position);
            }
        }
    }

    /** Calls again as long as the answer is only late, as the documentation says. */
    private void patiently(Call call) {
        while (true) {
            try {
                call.run();
                return;
            } catch (TimeoutException e) {
                note("\"error\": " + quoted(e.toString()));
            }
        }
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ") + '"';
    }

    private void note(String what) {
        Instant now = Instant.now();
        String at = String.format(Locale.ROOT, "%d.%06d", now.getEpochSecond(), now.getNano() / 1000);
        try {
            journal.write(("{\"at\": " + at + ", " + what + "}\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }
}
