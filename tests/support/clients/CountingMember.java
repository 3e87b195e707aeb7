import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.StringJoiner;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * The Java consumer as counting.py has the others: it writes down what it processed before it commits it.
 * Arguments: protocol, bootstrap server, topic, group, journal, session timeout in ms, seed.
 */
public final class CountingMember {
    private static final int WORK_MS = 20;
    private static final Duration POLL = Duration.ofMillis(200);

    private final FileOutputStream journal;
    private final AtomicBoolean isOver = new AtomicBoolean();

    private CountingMember(String path) throws IOException {
        this.journal = new FileOutputStream(path, true);
    }

    public static void main(String[] arguments) throws Exception {
        CountingMember member = new CountingMember(arguments[4]);
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            member.isOver.set(true);
            try {
                main.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[1]);
        settings.put("group.id", arguments[3]);
        settings.put("group.protocol", arguments[0]);
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", "50");
        settings.put("reconnect.backoff.max.ms", "500");
        if (arguments[0].equals("classic")) {
            settings.put("session.timeout.ms", arguments[5]);
            settings.put("heartbeat.interval.ms", "500");
            settings.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        }
        var strings = new StringDeserializer();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings, strings, strings)) {
            consumer.subscribe(List.of(arguments[2]));
            member.note("\"opened\": true");
            member.count(consumer, new Random(arguments[6].hashCode()));
        }
        member.note("\"closed\": true");
    }

    private void count(KafkaConsumer<String, String> consumer, Random chance) throws Exception {
        while (!isOver.get()) {
            ConsumerRecords<String, String> records;
            try {
                records = consumer.poll(POLL);
            } catch (RuntimeException e) {
                note("\"error\": " + quoted("poll: " + e));
                Thread.sleep(200);
                continue;
            }
            if (records.isEmpty()) {
                continue;
            }
            StringJoiner processed = new StringJoiner(", ", "\"processed\": [", "]");
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<String, String> record : records) {
                processed.add("[" + record.partition() + ", " + record.offset() + ", " + quoted(record.value()) + "]");
                var at = new TopicPartition(record.topic(), record.partition());
                offsets.put(at, new OffsetAndMetadata(record.offset() + 1));
            }
            note(processed.toString());
            Thread.sleep(chance.nextInt(WORK_MS));
            StringJoiner commits = new StringJoiner(", ", "\"commits\": {", "}");
            offsets.forEach((at, offset) -> commits.add("\"" + at.partition() + "\": " + offset.offset()));
            note(commits.toString());
            try {
                consumer.commitSync(offsets);
                note("\"committed\": true");
            } catch (RuntimeException e) {
                note("\"refused\": " + quoted(e.toString()));
            }
        }
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ") + '"';
    }

    private void note(String what) throws IOException {
        Instant now = Instant.now();
        String at = String.format(Locale.ROOT, "%d.%06d", now.getEpochSecond(), now.getNano() / 1000);
        journal.write(("{\"at\": " + at + ", " + what + "}\n").getBytes(StandardCharsets.UTF_8));
    }
}
