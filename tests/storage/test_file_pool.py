"""What a process may have open and mapped, and how much of it files and connections get."""

import resource
import sys

import pytest

from barnabas.storage import file_pool
from barnabas.storage.file_pool import DESCRIPTORS_PER_FILE, DESCRIPTORS_RESERVED, FilePool


@pytest.fixture
def limited(monkeypatch):
    """Set what ``getrlimit`` says of every limit."""
    return lambda soft: monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))


@pytest.mark.parametrize("soft", [32, 40, 64, 256, 1024, 10_240, 2**20])
def test_files_connections_and_the_broker_share_the_descriptors(limited, soft):
    limited(soft)
    files, connections = FilePool().limit, file_pool.descriptors_for_connections()
    assert 2 <= files <= 16_384
    assert connections >= (soft - DESCRIPTORS_RESERVED) // 2
    assert files * DESCRIPTORS_PER_FILE + connections + DESCRIPTORS_RESERVED <= soft


def test_without_a_limit_connections_have_none(limited):
    limited(resource.RLIM_INFINITY)
    assert file_pool.descriptors_for_connections() > 2**30
    assert FilePool().limit == 16_384


def test_a_quarter_of_a_limited_address_space_is_for_maps(limited):
    limited(4 * 2**30)
    pool = FilePool()
    assert pool.has_room(2**30)
    assert not pool.has_room(2**30 + 1)


@pytest.mark.skipif(sys.maxsize < 2**32, reason="a 32-bit process is always limited")
def test_without_a_limit_any_file_is_mapped(limited):
    limited(resource.RLIM_INFINITY)
    assert FilePool().has_room(2**40)


def test_a_32_bit_process_has_2_gib(limited, monkeypatch):
    limited(resource.RLIM_INFINITY)
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    assert FilePool().has_room(500 * 2**20)
    assert not FilePool().has_room(600 * 2**20)
