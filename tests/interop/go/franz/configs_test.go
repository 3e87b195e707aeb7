package franz

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"interop/live"
)

// topicConfig returns a setting of the topic.
func topicConfig(t *testing.T, topic, key string) kadm.Config {
	t.Helper()
	return configOf(t, key, live.Must(admin(t).DescribeTopicConfigs(live.Context(t), topic)))
}

func configOf(t *testing.T, key string, described kadm.ResourceConfigs) kadm.Config {
	t.Helper()
	if len(described) != 1 || described[0].Err != nil {
		t.Fatalf("described: %v", described)
	}
	for _, c := range described[0].Configs {
		if c.Key == key {
			return c
		}
	}
	return kadm.Config{Key: "absent"}
}

func set(key, value string) []kadm.AlterConfig {
	return []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}
}

// config compares a setting's value and where it comes from, once the broker has heard of it.
func config(t *testing.T, get func() kadm.Config, value string, source kmsg.ConfigSource) {
	t.Helper()
	var got kadm.Config
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got = get(); got.MaybeValue() == value && got.Source == source {
			return
		}
	}
	t.Errorf("%s: got %q of %s, want %q of %s", got.Key, got.MaybeValue(), got.Source, value, source)
}

func TestATopicsConfigsAreDescribedWithWhereTheyComeFrom(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1, "retention.ms", "12345")
	described := live.Must(adm.DescribeTopicConfigs(ctx, name))
	own := configOf(t, "retention.ms", described)
	live.Equal(t, "own", []any{own.MaybeValue(), own.Source}, []any{"12345", kmsg.ConfigSourceDynamicTopicConfig})
	var synonyms []string
	for _, s := range own.Synonyms {
		synonyms = append(synonyms, s.Key+" "+s.Source.String())
	}
	live.Equal(t, "synonyms", synonyms, []string{"retention.ms DYNAMIC_TOPIC_CONFIG"})
	for _, key := range []string{"segment.ms", "segment.jitter.ms", "flush.ms"} { // the broker's are in other units, or none
		live.Equal(t, "synonyms of "+key, len(configOf(t, key, described).Synonyms), 0)
	}
	standard := configOf(t, "max.message.bytes", described)
	live.Equal(t, "default", []any{standard.MaybeValue(), standard.Source}, []any{"1048588", kmsg.ConfigSourceDefaultConfig})
	live.Equal(t, "its synonym", []any{len(standard.Synonyms), standard.Synonyms[0].Key}, []any{1, "message.max.bytes"})
	var keys []string
	for _, c := range described[0].Configs {
		keys = append(keys, c.Key)
	}
	slices.Sort(keys)
	live.Equal(t, "names", keys, []string{
		"cleanup.policy", "compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level",
		"delete.retention.ms", "file.delete.delay.ms", "flush.messages", "flush.ms",
		"follower.replication.throttled.replicas", "index.interval.bytes", "leader.replication.throttled.replicas",
		"local.retention.bytes", "local.retention.ms", "max.compaction.lag.ms", "max.message.bytes",
		"message.timestamp.after.max.ms", "message.timestamp.before.max.ms", "message.timestamp.type",
		"min.cleanable.dirty.ratio", "min.compaction.lag.ms", "min.insync.replicas", "preallocate",
		"remote.log.copy.disable", "remote.log.delete.on.disable", "remote.storage.enable", "retention.bytes",
		"retention.ms", "segment.bytes", "segment.index.bytes", "segment.jitter.ms", "segment.ms",
		"unclean.leader.election.enable",
	})
	none := live.Must(adm.DescribeTopicConfigs(ctx, "no-such-topic"))
	refuses(t, "an unknown topic", none[0].Err, kerr.UnknownTopicOrPartition)
}

func TestATopicsConfigsAreSetAndDeletedOneByOne(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	get := func() kadm.Config { return topicConfig(t, name, "retention.ms") }
	validated := live.Must(adm.ValidateAlterTopicConfigs(ctx, set("retention.ms", "1000"), name))
	live.Equal(t, "validated", []any{validated[0].Name, validated[0].Err}, []any{name, nil})
	config(t, get, "604800000", kmsg.ConfigSourceDefaultConfig)
	live.Equal(t, "set", live.Must(adm.AlterTopicConfigs(ctx, set("retention.ms", "1000"), name))[0].Err, nil)
	config(t, get, "1000", kmsg.ConfigSourceDynamicTopicConfig)
	live.Equal(t, "another", live.Must(adm.AlterTopicConfigs(ctx, set("segment.ms", "5000"), name))[0].Err, nil)
	config(t, get, "1000", kmsg.ConfigSourceDynamicTopicConfig)
	gone := []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: "retention.ms"}}
	live.Equal(t, "delete", live.Must(adm.AlterTopicConfigs(ctx, gone, name))[0].Err, nil)
	config(t, get, "604800000", kmsg.ConfigSourceDefaultConfig)
	config(t, func() kadm.Config { return topicConfig(t, name, "segment.ms") }, "5000", kmsg.ConfigSourceDynamicTopicConfig)
}

func TestAListIsAppendedToAndSubtractedFrom(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	get := func() kadm.Config { return topicConfig(t, name, "cleanup.policy") }
	change := func(op kadm.IncrementalOp, key, value string) error {
		return live.Must(adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: op, Name: key, Value: &value}}, name))[0].Err
	}
	live.Equal(t, "append", change(kadm.AppendConfig, "cleanup.policy", "compact"), nil)
	config(t, get, "delete,compact", kmsg.ConfigSourceDynamicTopicConfig)
	live.Equal(t, "append again", change(kadm.AppendConfig, "cleanup.policy", "compact"), nil)
	config(t, get, "delete,compact", kmsg.ConfigSourceDynamicTopicConfig)
	live.Equal(t, "subtract", change(kadm.SubtractConfig, "cleanup.policy", "delete"), nil)
	config(t, get, "compact", kmsg.ConfigSourceDynamicTopicConfig)
	refuses(t, "append to a number", change(kadm.AppendConfig, "retention.ms", "1"), kerr.InvalidConfig)
	refuses(t, "subtract from a number", change(kadm.SubtractConfig, "retention.ms", "1"), kerr.InvalidConfig)
}

func TestTheOldWayToAlterConfigsReplacesThemAll(t *testing.T) {
	ctx, adm := live.Context(t), admin(t)
	name := topic(t, 1, "retention.ms", "1000", "segment.ms", "5000")
	both := func(retention string, r kmsg.ConfigSource, segment string, s kmsg.ConfigSource) {
		t.Helper()
		config(t, func() kadm.Config { return topicConfig(t, name, "retention.ms") }, retention, r)
		config(t, func() kadm.Config { return topicConfig(t, name, "segment.ms") }, segment, s)
	}
	own, standard := kmsg.ConfigSourceDynamicTopicConfig, kmsg.ConfigSourceDefaultConfig
	validated := live.Must(adm.ValidateAlterTopicConfigsState(ctx, set("segment.ms", "6000"), name))
	live.Equal(t, "validated", validated[0].Err, nil)
	both("1000", own, "5000", own)
	live.Equal(t, "state", live.Must(adm.AlterTopicConfigsState(ctx, set("segment.ms", "6000"), name))[0].Err, nil)
	both("604800000", standard, "6000", own)
	live.Equal(t, "nothing", live.Must(adm.AlterTopicConfigsState(ctx, nil, name))[0].Err, nil)
	both("604800000", standard, "604800000", standard)
}

func TestConfigsThatCannotBeSetAreRefused(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	for way, alter := range map[string]func(string, []kadm.AlterConfig) kadm.AlterConfigsResponse{
		"incremental": func(name string, c []kadm.AlterConfig) kadm.AlterConfigsResponse {
			return live.Must(adm.AlterTopicConfigs(ctx, c, name))[0]
		},
		"validated": func(name string, c []kadm.AlterConfig) kadm.AlterConfigsResponse {
			return live.Must(adm.ValidateAlterTopicConfigs(ctx, c, name))[0]
		},
		"legacy": func(name string, c []kadm.AlterConfig) kadm.AlterConfigsResponse {
			return live.Must(adm.AlterTopicConfigsState(ctx, c, name))[0]
		},
	} {
		refuses(t, way+", an unknown name", alter(name, set("no.such.setting", "1")).Err, kerr.InvalidConfig)
		refuses(t, way+", a word", alter(name, set("retention.ms", "long")).Err, kerr.InvalidConfig)
		refuses(t, way+", out of range", alter(name, set("segment.bytes", "0")).Err, kerr.InvalidConfig)
		refuses(t, way+", not one of the words", alter(name, set("cleanup.policy", "burn")).Err, kerr.InvalidConfig)
		null := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms"}}
		refuses(t, way+", no value", alter(name, null).Err, kerr.InvalidRequest)
		twice := append(set("retention.ms", "1"), set("retention.ms", "2")...)
		refuses(t, way+", twice", alter(name, twice).Err, kerr.InvalidRequest)
		refuses(t, way+", unknown topic", alter("no-such-topic", set("retention.ms", "1")).Err, kerr.UnknownTopicOrPartition)
		refuses(t, way+", a name that no topic has", alter("a b", set("retention.ms", "1")).Err, kerr.InvalidTopicException)
	}
}

func TestABrokersConfigsAreDescribedSetAndDeleted(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	const key, standard = "log.cleaner.delete.retention.ms", "86400000"
	broker := func() kadm.Config { return configOf(t, key, live.Must(adm.DescribeBrokerConfigs(ctx, 1))) }
	cluster := func() kadm.Config { return configOf(t, key, live.Must(adm.DescribeBrokerConfigs(ctx))) }
	ofTopic := func() kadm.Config { return topicConfig(t, name, "delete.retention.ms") }
	gone := []kadm.AlterConfig{{Op: kadm.DeleteConfig, Name: key}}
	config(t, broker, standard, kmsg.ConfigSourceDefaultConfig)
	t.Cleanup(func() {
		live.Must(adm.AlterBrokerConfigs(ctx, gone))
		live.Must(adm.AlterBrokerConfigs(ctx, gone, 1))
	})
	live.Equal(t, "validated", live.Must(adm.ValidateAlterBrokerConfigs(ctx, set(key, "1000"), 1))[0].Err, nil)
	config(t, broker, standard, kmsg.ConfigSourceDefaultConfig)
	live.Equal(t, "for all", live.Must(adm.AlterBrokerConfigs(ctx, set(key, "1000")))[0].Err, nil)
	config(t, cluster, "1000", kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	config(t, broker, "1000", kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	config(t, ofTopic, "1000", kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	live.Equal(t, "for one", live.Must(adm.AlterBrokerConfigs(ctx, set(key, "2000"), 1))[0].Err, nil)
	config(t, broker, "2000", kmsg.ConfigSourceDynamicBrokerConfig)
	config(t, ofTopic, "2000", kmsg.ConfigSourceDynamicBrokerConfig)
	live.Equal(t, "synonyms", len(broker().Synonyms), 3)
	live.Equal(t, "nothing for one", live.Must(adm.AlterBrokerConfigsState(ctx, nil, 1))[0].Err, nil)
	config(t, broker, "1000", kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	live.Equal(t, "delete for all", live.Must(adm.AlterBrokerConfigs(ctx, gone))[0].Err, nil)
	config(t, broker, standard, kmsg.ConfigSourceDefaultConfig)
}

func TestBrokerConfigsThatCannotBeSetAreRefused(t *testing.T) {
	ctx, adm := live.Context(t), admin(t)
	alter := func(key, value string, brokers ...int32) error {
		return live.Must(adm.ValidateAlterBrokerConfigs(ctx, set(key, value), brokers...))[0].Err
	}
	refuses(t, "what only a start can set", alter("node.id", "2", 1), kerr.InvalidRequest)
	refuses(t, "what is set for each broker", alter("listeners", "PLAINTEXT://127.0.0.1:1"), kerr.InvalidRequest)
	refuses(t, "a word for a number", alter("log.retention.ms", "long", 1), kerr.InvalidRequest)
}

func TestReadOnlyAndSecretConfigsOfABrokerAreMarked(t *testing.T) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
	rr.ConfigNames = []string{"node.id", "log.retention.ms", "ssl.key.password"}
	req.Resources, req.IncludeDocumentation = append(req.Resources, rr), true
	got := make(map[string]string)
	resource := live.Must(req.RequestWith(live.Context(t), client(t))).Resources[0]
	for _, c := range resource.Configs {
		live.Equal(t, c.Name+" has words", c.Documentation != nil && *c.Documentation != "", true)
		got[c.Name] = c.ConfigType.String()
		if c.ReadOnly {
			got[c.Name] += " read-only"
		}
		if c.IsSensitive {
			got[c.Name] += " sensitive"
		}
	}
	want := map[string]string{
		"node.id": "INT read-only", "log.retention.ms": "LONG", "ssl.key.password": "PASSWORD sensitive",
	}
	live.Equal(t, "configs", got, want)
}

func TestTheResourcesThatHaveConfigsAreListed(t *testing.T) {
	ctx, adm, name := live.Context(t), admin(t), topic(t, 1)
	listed := live.Must(adm.ListConfigResources(ctx))
	names := make(map[kadm.ConfigResourceType][]string)
	for _, r := range listed.Sorted() {
		names[r.Type] = append(names[r.Type], r.Name)
	}
	live.Equal(t, "brokers", names[kmsg.ConfigResourceTypeBroker], []string{"1"})
	live.Equal(t, "the topic among topics", slices.Contains(names[kmsg.ConfigResourceTypeTopic], name), true)
	for _, r := range live.Must(adm.ListConfigResources(ctx, kmsg.ConfigResourceTypeBroker)).Sorted() {
		live.Equal(t, "the only broker", []any{r.Type, r.Name}, []any{kmsg.ConfigResourceTypeBroker, "1"})
	}
	unknown := live.Must(adm.ListConfigResources(ctx, kadm.ConfigResourceType(77)))
	refuses(t, "an unknown type", unknown.Err, kerr.UnsupportedVersion)
}
