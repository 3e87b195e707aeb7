import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;

/** What the drivers share: each call becomes one line, "call -> outcome", or the class of what it threw. */
final class Calls {
    static final long APPLIED_MS = 150; // Kafka's broker hears of a change after the client
    static final Duration PATIENCE = Duration.ofSeconds(20);

    interface Call {
        Object outcome() throws Exception;
    }

    private Calls() {}

    static void say(String call, Call body) {
        String outcome;
        try {
            Object value = body.outcome();
            outcome = value == null ? "done" : value.toString();
        } catch (ExecutionException | CompletionException e) {
            outcome = e.getCause().getClass().getSimpleName();
        } catch (Exception e) {
            outcome = e.getClass().getSimpleName();
        }
        System.out.println(call + " -> " + outcome);
    }

    /** The values in the order of their names. */
    static <T> String sorted(Collection<T> values) {
        return values.stream().map(String::valueOf).sorted().collect(Collectors.joining(" "));
    }

    static <K, V> String sorted(Map<K, V> values) {
        TreeMap<String, V> named = new TreeMap<>();
        values.forEach((key, value) -> named.put(key.toString(), value));
        return named.toString();
    }

    static Properties properties(String bootstrap, Object... settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < settings.length; i += 2) {
            properties.put(settings[i], settings[i + 1]);
        }
        return properties;
    }

    static KafkaProducer<String, String> producer(String bootstrap, Object... settings) {
        return new KafkaProducer<>(properties(bootstrap, settings), new StringSerializer(), new StringSerializer());
    }

    static Admin admin(String bootstrap) {
        return Admin.create(properties(bootstrap, "default.api.timeout.ms", "10000", "request.timeout.ms", "5000"));
    }

    /** Make a topic and wait until its partitions can be written: Kafka's broker hears of them after the client. */
    static void create(Admin admin, String topic, int partitions, Map<String, String> configs) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all().get();
        Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
        for (int partition = 0; partition < partitions; partition++) {
            ends.put(new TopicPartition(topic, partition), OffsetSpec.latest());
        }
        admin.listOffsets(ends).all().get();
    }

    /** Append ``values`` to a partition, the first with timestamp 1000, the next with 2000 and so on. */
    static void produce(String bootstrap, String topic, int partition, List<String> values) throws Exception {
        try (KafkaProducer<String, String> producer = producer(bootstrap)) {
            long timestamp = 0;
            for (String value : values) {
                timestamp += 1000;
                producer.send(new ProducerRecord<>(topic, partition, timestamp, "key", value)).get();
            }
        }
    }
}
