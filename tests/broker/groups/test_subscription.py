import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.broker.groups.subscription import subscribed_topics

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # kafka-python reads its schemas in a deprecated way
    from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription


@given(topics=st.lists(st.text(max_size=20)), version=st.integers(0, 3), user_data=st.none() | st.binary(max_size=9))
def test_the_topics_of_every_version_of_a_subscription_are_found(topics, version, user_data):
    sent = ConsumerProtocolSubscription(topics=topics, user_data=user_data, version=version).encode()
    assert subscribed_topics(sent) == set(topics)


@given(st.binary(max_size=40))
def test_anything_else_is_refused_in_one_way(metadata):
    try:
        topics = subscribed_topics(metadata)
    except ValueError:
        return
    assert all(isinstance(topic, str) for topic in topics)


@pytest.mark.parametrize("cut", range(2, 15))
def test_a_subscription_that_is_cut_short_is_refused(cut):
    whole = ConsumerProtocolSubscription(topics=["one", "two"], user_data=None, version=0).encode()
    with pytest.raises(ValueError):
        subscribed_topics(whole[:cut])
