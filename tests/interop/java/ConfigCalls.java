import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.AlterConfigsOptions;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.DescribeConfigsOptions;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.ConfigResource.Type;

/** Settings of topics, the broker, groups and client metrics by the Java admin client. Argument: the bootstrap server. */
public final class ConfigCalls {
    private static final ConfigResource TOPIC = new ConfigResource(Type.TOPIC, "config-topic");
    private static final ConfigResource NO_TOPIC = new ConfigResource(Type.TOPIC, "config-nosuch");
    private static final ConfigResource BROKER = new ConfigResource(Type.BROKER, "1");
    private static final ConfigResource EVERY_BROKER = new ConfigResource(Type.BROKER, "");
    private static final ConfigResource GROUP = new ConfigResource(Type.GROUP, "config-group");
    private static final ConfigResource METRICS = new ConfigResource(Type.CLIENT_METRICS, "config-metrics");
    private static final ConfigResource LOGGERS = new ConfigResource(Type.BROKER_LOGGER, "1");

    private final Admin admin;

    private ConfigCalls(Admin admin) {
        this.admin = admin;
    }

    public static void main(String[] arguments) throws Exception {
        try (Admin admin = Calls.admin(arguments[0])) {
            ConfigCalls calls = new ConfigCalls(admin);
            Calls.create(admin, TOPIC.name(), 1, Map.of());
            calls.describe();
            calls.alterTopic();
            calls.alterBroker();
            calls.alterOthers();
            calls.list();
        }
    }

    private Config config(ConfigResource resource) throws Exception {
        return admin.describeConfigs(List.of(resource)).all().get().get(resource);
    }

    private static String told(ConfigEntry entry) {
        return entry.value() + ", " + entry.source() + (entry.isDefault() ? ", default" : "")
            + (entry.isReadOnly() ? ", read only" : "") + (entry.isSensitive() ? ", sensitive" : "") + ", " + entry.type();
    }

    private void describe() throws Exception {
        for (ConfigEntry entry : config(TOPIC).entries().stream().sorted(Comparator.comparing(ConfigEntry::name)).toList()) {
            if (!entry.name().equals("min.insync.replicas")) { // a setting of the cluster where ELR (KIP-966) is on
                Calls.say("describeConfigs: topic, " + entry.name(), () -> told(entry));
            }
        }
        for (String name : List.of("message.max.bytes", "log.retention.hours", "log.cleanup.policy", "node.id",
                "ssl.keystore.password", "compression.type", "num.network.threads", "log.segment.bytes")) {
            Calls.say("describeConfigs: broker, " + name, () -> told(config(BROKER).get(name)));
        }
        Calls.say("describeConfigs: nothing is said of synonyms and documentation", () -> {
            ConfigEntry entry = config(TOPIC).get("retention.ms");
            return entry.synonyms() + " " + entry.documentation();
        });
        DescribeConfigsOptions all = new DescribeConfigsOptions().includeSynonyms(true).includeDocumentation(true);
        Calls.say("describeConfigs: synonyms and documentation", () -> {
            ConfigEntry entry = admin.describeConfigs(List.of(TOPIC), all).all().get().get(TOPIC).get("segment.bytes");
            return entry.synonyms().stream().map(synonym -> synonym.name() + "=" + synonym.value() + " " + synonym.source())
                .toList() + (entry.documentation().isEmpty() ? " undocumented" : " documented");
        });
        Calls.say("describeConfigs: unknown topic", () -> config(NO_TOPIC));
        Calls.say("describeConfigs: topic and broker in one request", () ->
            Calls.sorted(admin.describeConfigs(List.of(TOPIC, BROKER)).all().get().keySet()));
        Calls.say("describeConfigs: a group without settings of its own", () -> overrides(GROUP));
        Calls.say("describeConfigs: client metrics that are not there", () -> overrides(METRICS));
        Calls.say("describeConfigs: loggers have levels", () ->
            config(LOGGERS).entries().stream().map(ConfigEntry::value).anyMatch(value -> value.equals("INFO")));
    }

    /** What is set on ``resource`` itself. */
    private String overrides(ConfigResource resource) throws Exception {
        return config(resource).entries().stream()
            .filter(entry -> entry.source().name().startsWith("DYNAMIC") && !entry.name().equals("min.insync.replicas"))
            .map(entry -> entry.name() + "=" + entry.value() + " " + entry.source()).sorted()
            .collect(Collectors.joining("; "));
    }

    private static AlterConfigOp op(OpType type, String name, String value) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    private void alter(String call, ConfigResource resource, AlterConfigOp... ops) {
        alter(call, false, resource, ops);
    }

    private void alter(String call, boolean validateOnly, ConfigResource resource, AlterConfigOp... ops) {
        Calls.say("incrementalAlterConfigs: " + call, () -> {
            admin.incrementalAlterConfigs(
                Map.of(resource, List.of(ops)), new AlterConfigsOptions().validateOnly(validateOnly)).all().get();
            Thread.sleep(Calls.APPLIED_MS);
            return "now " + overrides(resource);
        });
    }

    private void alterTopic() {
        alter("validate only", true, TOPIC, op(OpType.SET, "retention.ms", "1000"));
        alter("validate only, a bad value", true, TOPIC, op(OpType.SET, "retention.ms", "soon"));
        alter("set", TOPIC, op(OpType.SET, "retention.ms", "1000"), op(OpType.SET, "segment.ms", "2000"));
        alter("set to what is the default", TOPIC, op(OpType.SET, "segment.ms", "604800000"));
        alter("append", TOPIC, op(OpType.APPEND, "cleanup.policy", "compact"));
        alter("append what is there", TOPIC, op(OpType.APPEND, "cleanup.policy", "compact"));
        alter("subtract", TOPIC, op(OpType.SUBTRACT, "cleanup.policy", "delete"));
        alter("subtract what is not there", TOPIC, op(OpType.SUBTRACT, "cleanup.policy", "delete"));
        alter("append to what is no list", TOPIC, op(OpType.APPEND, "retention.ms", "1"));
        alter("append a bad value", TOPIC, op(OpType.APPEND, "cleanup.policy", "shred"));
        alter("delete", TOPIC, op(OpType.DELETE, "cleanup.policy", ""), op(OpType.DELETE, "segment.ms", ""));
        alter("delete what is not set", TOPIC, op(OpType.DELETE, "segment.ms", ""));
        alter("delete an unknown name", TOPIC, op(OpType.DELETE, "no.such.config", ""));
        alter("set an unknown name", TOPIC, op(OpType.SET, "no.such.config", "1"));
        alter("set a bad value", TOPIC, op(OpType.SET, "retention.ms", "soon"));
        alter("one good, one bad: neither", TOPIC,
            op(OpType.SET, "segment.ms", "3000"), op(OpType.SET, "retention.ms", "-2"));
        alter("the same name twice", TOPIC, op(OpType.SET, "segment.ms", "1"), op(OpType.SET, "segment.ms", "2"));
        alter("no value", TOPIC, op(OpType.SET, "retention.ms", null));
        alter("an unknown topic", NO_TOPIC, op(OpType.SET, "retention.ms", "1000"));
        alter("every topic", new ConfigResource(Type.TOPIC, ""), op(OpType.SET, "retention.ms", "1000"));
        Calls.say("incrementalAlterConfigs: one resource good, one bad", () -> {
            Map<ConfigResource, ?> results = admin.incrementalAlterConfigs(Map.of(
                TOPIC, Collections.singleton(op(OpType.SET, "segment.ms", "5000")),
                NO_TOPIC, Collections.singleton(op(OpType.SET, "segment.ms", "5000")))).values();
            ((org.apache.kafka.common.KafkaFuture<?>) results.get(TOPIC)).get();
            Thread.sleep(Calls.APPLIED_MS);
            return overrides(TOPIC);
        });
    }

    private void alterBroker() {
        alter("broker, set", BROKER, op(OpType.SET, "log.cleaner.threads", "2"));
        alter("broker, delete", BROKER, op(OpType.DELETE, "log.cleaner.threads", ""));
        alter("broker, a setting of the start", BROKER, op(OpType.SET, "node.id", "2"));
        alter("broker, a bad value", BROKER, op(OpType.SET, "log.retention.ms", "soon"));
        alter("every broker, set", EVERY_BROKER, op(OpType.SET, "message.max.bytes", "2000000"));
        Calls.say("describeConfigs: a topic has the default of every broker", () ->
            told(config(TOPIC).get("max.message.bytes")));
        alter("broker, wins over every broker", BROKER, op(OpType.SET, "message.max.bytes", "3000000"));
        Calls.say("describeConfigs: a topic has the setting of its broker", () ->
            told(config(TOPIC).get("max.message.bytes")));
        alter("broker, delete again", BROKER, op(OpType.DELETE, "message.max.bytes", ""));
        alter("every broker, delete", EVERY_BROKER, op(OpType.DELETE, "message.max.bytes", ""));
        Calls.say("describeConfigs: a topic has Kafka's default again", () ->
            told(config(TOPIC).get("max.message.bytes")));
    }

    private void alterOthers() {
        alter("group", GROUP, op(OpType.SET, "consumer.session.timeout.ms", "50000"));
        alter("group, a bad value", GROUP, op(OpType.SET, "consumer.session.timeout.ms", "soon"));
        alter("group, out of bounds", GROUP, op(OpType.SET, "consumer.session.timeout.ms", "1"));
        alter("group, an unknown name", GROUP, op(OpType.SET, "no.such.config", "1"));
        alter("client metrics", METRICS, op(OpType.SET, "interval.ms", "1000"),
            op(OpType.SET, "match", "client_id=a.*"), op(OpType.SET, "metrics", "org.apache.kafka."));
        alter("client metrics, out of bounds", METRICS, op(OpType.SET, "interval.ms", "10"));
        alter("client metrics, a bad pattern", METRICS, op(OpType.SET, "match", "no_such=a.*"));
        alter("client metrics, an unknown name", METRICS, op(OpType.SET, "no.such.config", "1"));
        alter("loggers, an unknown one", LOGGERS, op(OpType.SET, "no.such.logger", "DEBUG"));
    }

    private String resources(Set<Type> types) throws Exception {
        return Calls.sorted(admin.listConfigResources(types, new org.apache.kafka.clients.admin.ListConfigResourcesOptions())
            .all().get().stream().filter(resource -> resource.name().startsWith("config-")
                || resource.type() == Type.BROKER || resource.type() == Type.BROKER_LOGGER).toList());
    }

    private void list() throws Exception {
        for (Type type : List.of(Type.TOPIC, Type.BROKER, Type.BROKER_LOGGER, Type.GROUP, Type.CLIENT_METRICS)) {
            Calls.say("listConfigResources: " + type, () -> resources(Set.of(type)));
        }
        Calls.say("listConfigResources: all", () -> resources(Set.of()));
        Calls.say("listConfigResources: unknown type", () -> resources(Set.of(Type.UNKNOWN)));
        alter("group, delete", GROUP, op(OpType.DELETE, "consumer.session.timeout.ms", ""));
        alter("client metrics, delete", METRICS, op(OpType.DELETE, "interval.ms", ""),
            op(OpType.DELETE, "match", ""), op(OpType.DELETE, "metrics", ""));
        Calls.say("listConfigResources: what is left", () -> resources(Set.of(Type.GROUP, Type.CLIENT_METRICS)));
    }
}
