import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreatePartitionsOptions;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DescribeClusterOptions;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.QuorumInfo;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ReplicaInfo;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** Topics, partitions, records and the cluster, as the Java admin client does them. Argument: the bootstrap server. */
public final class AdminCalls {
    private static final short ONE = 1;
    private static final String TOPIC = "admin-topic";
    private static final Uuid NO_ID = new Uuid(7, 7);

    private final String bootstrap;
    private final Admin admin;

    private AdminCalls(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Calls.admin(bootstrap);
    }

    public static void main(String[] arguments) throws Exception {
        AdminCalls calls = new AdminCalls(arguments[0]);
        try (calls.admin) {
            calls.createTopics();
            calls.describeTopics();
            calls.createPartitions();
            calls.records();
            calls.logDirs();
            calls.leadersAndReassignments();
            calls.cluster();
            calls.quotas();
            calls.security();
            calls.deleteTopics();
        }
    }

    private static NewTopic topic(String name, int partitions) {
        return new NewTopic(name, partitions, ONE);
    }

    private void create(String call, NewTopic topic) {
        create(call, topic, false);
    }

    private void create(String call, NewTopic topic, boolean validateOnly) {
        Calls.say("createTopics: " + call, () -> {
            CreateTopicsResult result =
                admin.createTopics(List.of(topic), new CreateTopicsOptions().validateOnly(validateOnly));
            String name = topic.name();
            boolean identified = !result.topicId(name).get().equals(Uuid.ZERO_UUID);
            return result.numPartitions(name).get() + " partitions, " + result.replicationFactor(name).get()
                + " replica, id " + identified + ", retention.ms " + result.config(name).get().get("retention.ms").value();
        });
    }

    private void createTopics() {
        create("three partitions", topic(TOPIC, 3));
        create("broker's defaults", new NewTopic("admin-defaults", Optional.empty(), Optional.empty()));
        create("a config", topic("admin-config", 1).configs(Map.of("retention.ms", "77")));
        create("a null config", topic("admin-null-config", 1).configs(Collections.singletonMap("retention.ms", null)));
        create("an unknown config", topic("admin-bad", 1).configs(Map.of("no.such.config", "1")));
        create("a bad value", topic("admin-bad", 1).configs(Map.of("retention.ms", "soon")));
        create("a value out of bounds", topic("admin-bad", 1).configs(Map.of("segment.bytes", "1")));
        create("a topic that exists", topic(TOPIC, 1));
        create("three replicas", new NewTopic("admin-bad", 1, (short) 3));
        create("no replica", new NewTopic("admin-bad", 1, (short) 0));
        create("no partition", topic("admin-bad", 0));
        create("minus five partitions", topic("admin-bad", -5));
        create("a bad name", topic("admin bad", 1));
        create("an empty name", topic("", 1));
        create("a dot", topic(".", 1));
        create("250 letters", topic("x".repeat(250), 1));
        create("assigned", new NewTopic("admin-assigned", Map.of(0, List.of(1), 1, List.of(1))));
        create("assigned to nobody", new NewTopic("admin-bad", Map.of(0, List.of())));
        create("assigned twice", new NewTopic("admin-bad", Map.of(0, List.of(1, 1))));
        create("assigned to an unknown broker", new NewTopic("admin-bad", Map.of(0, List.of(2))));
        create("assigned with a gap", new NewTopic("admin-bad", Map.of(0, List.of(1), 2, List.of(1))));
        create("assigned from one", new NewTopic("admin-bad", Map.of(1, List.of(1))));
        create("validate only", topic("admin-validated", 2), true);
        create("validate only, a topic that exists", topic(TOPIC, 2), true);
        create("validate only, a bad name", topic("admin bad", 2), true);
        Calls.say("createTopics: the same twice in one request", () ->
            admin.createTopics(List.of(topic("admin-twice", 1), topic("admin-twice", 2))).values().get("admin-twice").get());
        Map<String, Object> mixed = new LinkedHashMap<>(
            admin.createTopics(List.of(topic("admin-good", 1), topic("admin bad", 1))).values());
        mixed.forEach((name, future) -> Calls.say("createTopics: good and bad in one request, " + name,
            () -> ((org.apache.kafka.common.KafkaFuture<?>) future).get()));
        Calls.say("listTopics", () -> ours(admin.listTopics().names().get()));
        Calls.say("listTopics: none is internal", () -> admin.listTopics().listings().get().stream()
            .filter(listing -> listing.name().startsWith("admin-")).noneMatch(listing -> listing.isInternal()));
    }

    private static String ours(Collection<String> names) {
        return Calls.sorted(names.stream().filter(name -> name.startsWith("admin-")).toList());
    }

    private TopicDescription description(String name) throws Exception {
        return admin.describeTopics(List.of(name)).allTopicNames().get().get(name);
    }

    private static String shape(TopicDescription topic) {
        Stream<String> partitions = topic.partitions().stream().map(partition -> partition.partition() + ":"
            + partition.leader().id() + partition.replicas().stream().map(Node::id).toList()
            + partition.isr().stream().map(Node::id).toList() + partition.elr() + partition.lastKnownElr());
        return topic.name() + (topic.isInternal() ? " internal " : " ") + partitions.collect(Collectors.joining(" "));
    }

    private void describeTopics() {
        Calls.say("describeTopics", () -> shape(description(TOPIC)));
        Calls.say("describeTopics: one partition per response", () -> shape(admin.describeTopics(
            List.of(TOPIC), new DescribeTopicsOptions().partitionSizeLimitPerResponse(1)).allTopicNames().get().get(TOPIC)));
        Calls.say("describeTopics: nothing is said of operations", () -> description(TOPIC).authorizedOperations());
        Calls.say("describeTopics: operations", () -> Calls.sorted(admin.describeTopics(List.of(TOPIC),
            new DescribeTopicsOptions().includeAuthorizedOperations(true)).allTopicNames().get().get(TOPIC)
            .authorizedOperations()));
        Calls.say("describeTopics: several", () -> admin.describeTopics(List.of(TOPIC, "admin-config"))
            .allTopicNames().get().keySet().stream().sorted().toList());
        Calls.say("describeTopics: unknown", () -> description("admin-nosuch"));
        Calls.say("describeTopics: only validated before", () -> description("admin-validated"));
        Calls.say("describeTopics: a bad name", () -> description("admin bad"));
        Calls.say("describeTopics: by id", () -> {
            Uuid id = description(TOPIC).topicId();
            return shape(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id));
        });
        Calls.say("describeTopics: by an unknown id", () ->
            admin.describeTopics(TopicCollection.ofTopicIds(List.of(NO_ID))).allTopicIds().get());
        Calls.say("listTopics: ids are those of describeTopics", () ->
            admin.listTopics().namesToListings().get().get(TOPIC).topicId().equals(description(TOPIC).topicId()));
    }

    private void grow(String call, String topic, NewPartitions partitions, boolean validateOnly) {
        Calls.say("createPartitions: " + call, () -> admin.createPartitions(
            Map.of(topic, partitions), new CreatePartitionsOptions().validateOnly(validateOnly)).all().get());
    }

    private void createPartitions() {
        grow("validate only", TOPIC, NewPartitions.increaseTo(4), true);
        Calls.say("createPartitions: validate only did nothing", () -> description(TOPIC).partitions().size());
        grow("one more", TOPIC, NewPartitions.increaseTo(4), false);
        Calls.say("createPartitions: one more is there", () -> shape(description(TOPIC)));
        grow("as many", TOPIC, NewPartitions.increaseTo(4), false);
        grow("fewer", TOPIC, NewPartitions.increaseTo(2), false);
        grow("minus one", TOPIC, NewPartitions.increaseTo(-1), false);
        grow("unknown topic", "admin-nosuch", NewPartitions.increaseTo(2), false);
        grow("assigned", "admin-config", NewPartitions.increaseTo(2, List.of(List.of(1))), false);
        grow("assigned too few", "admin-config", NewPartitions.increaseTo(5, List.of(List.of(1))), false);
        grow("assigned too many", "admin-config", NewPartitions.increaseTo(3, List.of(List.of(1), List.of(1))), false);
        grow("assigned to an unknown broker", "admin-config", NewPartitions.increaseTo(3, List.of(List.of(2))), false);
        grow("assigned to two", "admin-config", NewPartitions.increaseTo(3, List.of(List.of(1, 2))), false);
    }

    private void offset(String call, TopicPartition partition, OffsetSpec spec, IsolationLevel isolation) {
        Calls.say("listOffsets: " + call, () -> {
            ListOffsetsResultInfo found =
                admin.listOffsets(Map.of(partition, spec), new ListOffsetsOptions(isolation)).partitionResult(partition).get();
            return found.offset() + " at " + found.timestamp() + ", epoch " + found.leaderEpoch();
        });
    }

    private void delete(String call, TopicPartition partition, long offset) {
        Calls.say("deleteRecords: " + call, () -> admin.deleteRecords(
            Map.of(partition, RecordsToDelete.beforeOffset(offset))).lowWatermarks().get(partition).get().lowWatermark());
    }

    private void records() throws Exception {
        TopicPartition partition = new TopicPartition(TOPIC, 0);
        Calls.produce(bootstrap, TOPIC, 0, List.of("a", "b", "c", "d"));
        for (IsolationLevel isolation : IsolationLevel.values()) {
            String level = ", " + isolation.name();
            offset("earliest" + level, partition, OffsetSpec.earliest(), isolation);
            offset("latest" + level, partition, OffsetSpec.latest(), isolation);
            offset("max timestamp" + level, partition, OffsetSpec.maxTimestamp(), isolation);
            offset("a timestamp" + level, partition, OffsetSpec.forTimestamp(1001), isolation);
        }
        IsolationLevel any = IsolationLevel.READ_UNCOMMITTED;
        offset("a late timestamp", partition, OffsetSpec.forTimestamp(1L << 50), any);
        offset("earliest local", partition, OffsetSpec.earliestLocal(), any);
        offset("latest tiered", partition, OffsetSpec.latestTiered(), any);
        offset("earliest pending upload", partition, OffsetSpec.earliestPendingUpload(), any);
        offset("max timestamp of nothing", new TopicPartition(TOPIC, 1), OffsetSpec.maxTimestamp(), any);

        Calls.say("describeProducers", () -> {
            List<ProducerState> active =
                admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers();
            return active.stream().map(state -> state.producerEpoch() + " " + state.lastSequence() + " "
                + state.lastTimestamp() + " " + state.coordinatorEpoch() + " " + state.currentTransactionStartOffset()).toList();
        });
        Calls.say("describeProducers: none", () -> admin.describeProducers(List.of(new TopicPartition(TOPIC, 1)))
            .all().get().values().iterator().next().activeProducers());

        delete("nothing", partition, 0);
        delete("one", partition, 1);
        delete("one again", partition, 1);
        delete("beyond the end", partition, 5);
        delete("a negative offset", partition, -2);
        delete("all", partition, -1);
        delete("of an empty partition", new TopicPartition(TOPIC, 1), -1);
        offset("earliest after deleteRecords", partition, OffsetSpec.earliest(), any);
        Calls.say("deleteRecords: of a topic that only compacts", () -> {
            Calls.create(admin, "admin-compact", 1, Map.of("cleanup.policy", "compact"));
            Calls.produce(bootstrap, "admin-compact", 0, List.of("a"));
            return admin.deleteRecords(Map.of(new TopicPartition("admin-compact", 0), RecordsToDelete.beforeOffset(1)))
                .all().get();
        });
    }

    private void logDirs() {
        TopicPartition empty = new TopicPartition(TOPIC, 1);
        TopicPartitionReplica replica = new TopicPartitionReplica(TOPIC, 1, 1);
        Calls.say("describeLogDirs: one folder without error", () -> admin.describeLogDirs(List.of(1))
            .allDescriptions().get().get(1).values().stream().map(dir -> dir.error() == null).toList());
        Calls.say("describeLogDirs: the disk's size is known", () -> admin.describeLogDirs(List.of(1))
            .allDescriptions().get().get(1).values().stream()
            .map(dir -> dir.totalBytes().isPresent() && dir.usableBytes().isPresent() && !dir.isCordoned()).toList());
        Calls.say("describeLogDirs: an empty partition", () -> {
            ReplicaInfo info = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).values().iterator().next()
                .replicaInfos().get(empty);
            return info.size() + " bytes, lag " + info.offsetLag() + ", future " + info.isFuture();
        });
        Calls.say("describeReplicaLogDirs: lag", () -> admin.describeReplicaLogDirs(List.of(replica))
            .all().get().get(replica).getCurrentReplicaOffsetLag());
        Calls.say("alterReplicaLogDirs: to where it is", () -> {
            String dir = admin.describeLogDirs(List.of(1)).allDescriptions().get().get(1).keySet().iterator().next();
            return admin.alterReplicaLogDirs(Map.of(replica, dir)).all().get();
        });
        Calls.say("alterReplicaLogDirs: to an unknown folder", () ->
            admin.alterReplicaLogDirs(Map.of(replica, "/no/such/folder")).all().get());
    }

    private void elect(String call, ElectionType type, String topic) {
        TopicPartition partition = new TopicPartition(topic, 0);
        Calls.say("electLeaders: " + call, () -> admin.electLeaders(type, Set.of(partition)).partitions().get().get(partition)
            .map(error -> error.getClass().getSimpleName()).orElse("elected"));
    }

    private void reassign(String call, String topic, Optional<NewPartitionReassignment> to) {
        Calls.say("alterPartitionReassignments: " + call, () ->
            admin.alterPartitionReassignments(Map.of(new TopicPartition(topic, 0), to)).all().get());
    }

    private static Optional<NewPartitionReassignment> to(Integer... brokers) {
        return Optional.of(new NewPartitionReassignment(List.of(brokers)));
    }

    private void leadersAndReassignments() {
        for (ElectionType type : ElectionType.values()) {
            elect(type.name().toLowerCase(), type, TOPIC);
            elect(type.name().toLowerCase() + ", unknown topic", type, "admin-nosuch");
        }
        Calls.say("electLeaders: of all", () -> admin.electLeaders(ElectionType.PREFERRED, null).partitions().get());
        reassign("to the broker where it is", TOPIC, to(1));
        reassign("to an unknown broker", TOPIC, to(2));
        reassign("to one broker twice", TOPIC, to(1, 1));
        reassign("cancel what is not under way", TOPIC, Optional.empty());
        reassign("unknown topic", "admin-nosuch", to(1));
        Calls.say("listPartitionReassignments", () -> admin.listPartitionReassignments().reassignments().get());
        Calls.say("listPartitionReassignments: of a partition", () ->
            admin.listPartitionReassignments(Set.of(new TopicPartition(TOPIC, 0))).reassignments().get());
    }

    private void cluster() {
        Calls.say("describeCluster", () -> admin.describeCluster().nodes().get().stream()
            .map(node -> node.id() + " " + node.rack() + " " + node.isFenced()).toList()
            + " controller " + admin.describeCluster().controller().get().id()
            + " id of " + admin.describeCluster().clusterId().get().length());
        Calls.say("describeCluster: fenced brokers, too", () ->
            admin.describeCluster(new DescribeClusterOptions().includeFencedBrokers(true)).nodes().get().size());
        Calls.say("describeCluster: operations", () -> Calls.sorted(admin.describeCluster(
            new DescribeClusterOptions().includeAuthorizedOperations(true)).authorizedOperations().get()));
        Calls.say("describeMetadataQuorum", () -> {
            QuorumInfo quorum = admin.describeMetadataQuorum().quorumInfo().get();
            return quorum.leaderId() + " " + quorum.voters().stream().map(QuorumInfo.ReplicaState::replicaId).toList()
                + quorum.observers();
        });
        Calls.say("describeFeatures: metadata.version", () ->
            admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("metadata.version").maxVersionLevel());
        Calls.say("updateFeatures: an unknown one", () -> admin.updateFeatures(
            Map.of("no.such.feature", new FeatureUpdate((short) 1, FeatureUpdate.UpgradeType.UPGRADE)),
            new UpdateFeaturesOptions().validateOnly(true)).all().get());
        Calls.say("unregisterBroker: an unknown one", () -> admin.unregisterBroker(7).all().get());
        Calls.say("clientInstanceId", () -> admin.clientInstanceId(Calls.PATIENCE));
    }

    private void quota(String call, ClientQuotaEntity entity, String key, Double value) {
        Calls.say("alterClientQuotas: " + call, () -> admin.alterClientQuotas(
            List.of(new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op(key, value))))).all().get());
    }

    private void quotas(String call, ClientQuotaFilter filter) {
        Calls.say("describeClientQuotas: " + call, () -> {
            Thread.sleep(Calls.APPLIED_MS);
            return Calls.sorted(admin.describeClientQuotas(filter).entities().get());
        });
    }

    private void quotas() {
        ClientQuotaEntity client = new ClientQuotaEntity(Map.of("client-id", "admin-client"));
        ClientQuotaEntity every = new ClientQuotaEntity(Collections.singletonMap("client-id", null));
        ClientQuotaEntity both = new ClientQuotaEntity(Map.of("client-id", "admin-client", "user", "admin-user"));
        quota("of a client", client, "producer_byte_rate", 1000.0);
        quota("of every client", every, "consumer_byte_rate", 2000.0);
        quota("of a client of a user", both, "request_percentage", 50.0);
        quota("an unknown kind", client, "no_such_quota", 1.0);
        quota("a negative rate", client, "producer_byte_rate", -1.0);
        quota("an unknown entity", new ClientQuotaEntity(Map.of("no-such", "x")), "producer_byte_rate", 1.0);
        quotas("all", ClientQuotaFilter.all());
        quotas("of a client", ClientQuotaFilter.contains(
            List.of(ClientQuotaFilterComponent.ofEntity("client-id", "admin-client"))));
        quotas("of a client, strictly", ClientQuotaFilter.containsOnly(
            List.of(ClientQuotaFilterComponent.ofEntity("client-id", "admin-client"))));
        quotas("of every client", ClientQuotaFilter.contains(
            List.of(ClientQuotaFilterComponent.ofDefaultEntity("client-id"))));
        quota("remove", client, "producer_byte_rate", null);
        quota("remove for every client", every, "consumer_byte_rate", null);
        quota("remove of a client of a user", both, "request_percentage", null);
        quotas("none is left", ClientQuotaFilter.all());
    }

    private void security() {
        AclBinding acl = new AclBinding(new ResourcePattern(ResourceType.TOPIC, TOPIC, PatternType.LITERAL),
            new AccessControlEntry("User:a", "*", AclOperation.READ, AclPermissionType.ALLOW));
        Calls.say("describeAcls", () -> admin.describeAcls(AclBindingFilter.ANY).values().get());
        Calls.say("createAcls", () -> admin.createAcls(List.of(acl)).all().get());
        Calls.say("deleteAcls", () -> admin.deleteAcls(List.of(AclBindingFilter.ANY)).all().get());
        Calls.say("createDelegationToken", () -> admin.createDelegationToken().delegationToken().get());
        Calls.say("renewDelegationToken", () -> admin.renewDelegationToken(new byte[4]).expiryTimestamp().get());
        Calls.say("expireDelegationToken", () -> admin.expireDelegationToken(new byte[4]).expiryTimestamp().get());
        Calls.say("describeDelegationToken", () -> admin.describeDelegationToken().delegationTokens().get());
    }

    private void deleteTopics() {
        Calls.say("deleteTopics", () -> admin.deleteTopics(List.of("admin-config")).all().get());
        Calls.say("deleteTopics: again", () -> admin.deleteTopics(List.of("admin-config")).all().get());
        Calls.say("deleteTopics: unknown", () -> admin.deleteTopics(List.of("admin-nosuch")).all().get());
        Calls.say("deleteTopics: by id", () -> admin.deleteTopics(
            TopicCollection.ofTopicIds(List.of(description(TOPIC).topicId()))).all().get());
        Calls.say("deleteTopics: by an unknown id", () ->
            admin.deleteTopics(TopicCollection.ofTopicIds(List.of(NO_ID))).all().get());
        Calls.say("listTopics: what is left", () -> ours(admin.listTopics().names().get()));
    }
}
