import gzip
import os
import struct
import zlib

import cramjam
import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.protocol.records import (
    BatchCorrupt,
    Codec,
    RecordsTooLarge,
    UnsupportedCodec,
    compress,
    decompress,
)
from barnabas.protocol.records.compression import STEP_BYTES, XERIAL_HEADER, XERIAL_MAGIC

COMPRESSING = [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]
FRAMED = [Codec.GZIP, Codec.LZ4, Codec.ZSTD]
TEXT = b"It was as if a sword had been thrust into his heart. " * 40
MIXED = os.urandom(70_000) + bytes(200_000)  # several blocks of every codec, packed and stored ones
BOMB_BYTES = 64 * 2**20
LIMIT = 2**20


def bomb(codec):
    return compress(codec, bytes(BOMB_BYTES))


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("data", [b"", b"x", TEXT, MIXED], ids=["empty", "byte", "text", "mixed"])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_data_survives_every_codec_from_every_kind_of_buffer(codec, data, kind):
    packed = compress(codec, kind(data))
    assert decompress(codec, kind(packed)) == data


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(Codec), st.binary(max_size=5000))
def test_any_bytes_survive_every_codec(codec, data):
    assert decompress(codec, compress(codec, data), max_bytes=len(data)) == data


@pytest.mark.parametrize(("codec", "low", "high"), [(Codec.GZIP, 1, 9), (Codec.LZ4, 1, 12), (Codec.ZSTD, 1, 19)])
def test_a_higher_level_packs_tighter(codec, low, high):
    data = b"".join(b"%d:%x," % (n, n * n) for n in range(5000))
    packed = [compress(codec, data, level) for level in (low, high)]
    assert len(packed[1]) < len(packed[0])
    assert all(decompress(codec, each) == data for each in packed)


def test_level_9_of_lz4_is_kafkas_default_the_fast_compressor():
    data = b"".join(b"%d:%x," % (n, n * n) for n in range(5000))
    assert compress(Codec.LZ4, data, 9) == compress(Codec.LZ4, data) != compress(Codec.LZ4, data, 8)


def test_lz4_is_written_as_java_reads_it():
    packed = compress(Codec.LZ4, MIXED)
    assert packed[4] == 0b0110_0000  # version 1, independent blocks, no checksums, no content size


@pytest.mark.parametrize("codec", FRAMED)
def test_members_in_a_row_are_read_as_one(codec):
    packed = b"".join(compress(codec, part) for part in (TEXT, b"", MIXED, b"end"))
    assert decompress(codec, packed) == TEXT + MIXED + b"end"


def test_a_zstd_frame_need_not_state_its_size():
    stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    packed = stream.compress(MIXED) + stream.flush()
    assert zstandard.frame_content_size(packed) == -1
    assert decompress(Codec.ZSTD, packed + packed) == MIXED * 2


def test_skippable_frames_of_zstd_and_lz4_are_skipped():
    skippable = struct.pack("<II", 0x184D2A50, 5) + b"hello"
    for codec in (Codec.ZSTD, Codec.LZ4):
        assert decompress(codec, skippable + compress(codec, TEXT)) == TEXT


def test_lz4_with_linked_blocks_checksums_and_size_is_read_too():
    packed = lz4.frame.compress(MIXED, block_linked=True, content_checksum=True, block_checksum=True, store_size=True)
    assert decompress(Codec.LZ4, packed) == MIXED


def test_gzip_from_another_writer_is_read():
    assert decompress(Codec.GZIP, gzip.compress(MIXED)) == MIXED


def test_snappy_is_written_in_the_framing_of_java():
    packed = compress(Codec.SNAPPY, MIXED)
    assert packed[:16] == b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01" == XERIAL_HEADER
    (length,) = struct.unpack_from(">i", packed, 16)
    assert bytes(cramjam.snappy.decompress_raw(packed[20 : 20 + length])) == MIXED[:32768]


def test_snappy_is_read_raw_as_librdkafka_sends_it():
    for data in (b"", TEXT, MIXED):
        assert decompress(Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(data))) == data


def test_the_version_numbers_of_xerial_may_be_little_endian():
    packed = compress(Codec.SNAPPY, TEXT)
    assert decompress(Codec.SNAPPY, XERIAL_MAGIC + struct.pack("<ii", 1, 1) + packed[16:]) == TEXT


def test_no_raw_snappy_payload_can_begin_like_xerial():
    with pytest.raises(cramjam.DecompressionError):
        cramjam.snappy.decompress_raw(XERIAL_MAGIC + bytes(20_000))


@pytest.mark.parametrize(
    "blocks",
    [b"\0", b"\0\0\0", b"\0\0\0\x05abc", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"],
    ids=["1 byte", "3 bytes", "short", "negative", "huge", "empty"],
)
def test_malformed_xerial_blocks_are_corrupt(blocks):
    with pytest.raises(BatchCorrupt):
        decompress(Codec.SNAPPY, XERIAL_HEADER + blocks)


def test_a_xerial_block_that_says_more_than_it_has_is_corrupt_though_it_would_decompress():
    block = bytes(cramjam.snappy.compress_raw(TEXT))
    with pytest.raises(BatchCorrupt):
        decompress(Codec.SNAPPY, XERIAL_HEADER + struct.pack(">i", len(block) + 1) + block)


@pytest.mark.parametrize("codec", COMPRESSING)
def test_a_payload_cut_at_any_byte_is_corrupt_or_ends_between_blocks(codec):
    packed = compress(codec, TEXT)
    for cut in range(len(packed)):
        if codec is Codec.SNAPPY and cut == len(XERIAL_HEADER):
            continue  # the framing has no end mark: here ends a stream of no blocks
        with pytest.raises(BatchCorrupt):
            decompress(codec, packed[:cut])


@pytest.mark.parametrize("codec", FRAMED)
def test_rubbish_behind_the_last_member_is_corrupt(codec):
    with pytest.raises(BatchCorrupt):
        decompress(codec, compress(codec, TEXT) + b"rubbish!")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(COMPRESSING), st.binary(max_size=200), st.booleans())
def test_rubbish_is_corrupt_and_raises_nothing_else(codec, rubbish, xerial):
    try:
        decompress(codec, XERIAL_HEADER + rubbish if xerial else rubbish, max_bytes=LIMIT)
    except BatchCorrupt:
        pass


@pytest.mark.parametrize("codec", COMPRESSING)
def test_a_payload_with_any_byte_flipped_is_corrupt_or_reads_as_something(codec):
    packed = bytearray(compress(codec, TEXT))
    for position in range(len(packed)):
        packed[position] ^= 0xFF
        try:
            decompress(codec, packed, max_bytes=LIMIT)
        except BatchCorrupt:
            pass
        packed[position] ^= 0xFF


@pytest.mark.parametrize("codec", COMPRESSING)
def test_a_bomb_is_stopped_at_the_limit(codec):
    with pytest.raises(RecordsTooLarge):
        decompress(codec, bomb(codec), max_bytes=LIMIT)


def test_a_gzip_bomb_is_stopped_while_it_expands(monkeypatch):
    produced = []

    class Watched:
        def __init__(self, member):
            self.member = member

        eof = property(lambda self: self.member.eof)
        unused_data = property(lambda self: self.member.unused_data)

        def decompress(self, data):
            assert len(data) <= STEP_BYTES
            piece = self.member.decompress(data)
            produced.append(len(piece))
            return piece

    packed = bomb(Codec.GZIP)
    original = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda **options: Watched(original(**options)))
    with pytest.raises(RecordsTooLarge):
        decompress(Codec.GZIP, packed, max_bytes=LIMIT)
    assert LIMIT < sum(produced) <= LIMIT + 2 * 2**20 < BOMB_BYTES


@pytest.mark.parametrize(("codec", "module"), [(Codec.LZ4, cramjam.lz4), (Codec.ZSTD, cramjam.zstd)])
@pytest.mark.parametrize("limit", [LIMIT, LIMIT + 1, 3 * LIMIT])
def test_a_bomb_of_lz4_or_zstd_gets_no_more_room_than_the_limit(codec, module, limit, monkeypatch):
    rooms = []

    def watched(data, buffer):
        rooms.append(len(buffer))
        return original(data, buffer)

    packed = bomb(codec)
    original = module.decompress_into
    monkeypatch.setattr(module, "decompress_into", watched)
    with pytest.raises(RecordsTooLarge):
        decompress(codec, packed, max_bytes=limit)
    assert max(rooms) == limit
    assert len(rooms) < 5


@pytest.mark.parametrize("codec", [Codec.LZ4, Codec.ZSTD])
def test_records_that_shrink_a_thousandfold_are_read(codec):
    data = bytes(20 * 2**20)
    packed = compress(codec, data)
    assert len(packed) < len(data) // 200
    assert decompress(codec, packed) == data


@pytest.mark.parametrize("data", [b"", b"x", TEXT, MIXED], ids=["empty", "byte", "text", "mixed"])
def test_the_libraries_of_the_clients_read_our_frames(data):
    for level in (None, 1, 3, 9, 17):
        assert lz4.frame.decompress(compress(Codec.LZ4, data, level)) == data
    for level in (None, -5, 1, 19):
        assert zstandard.decompress(compress(Codec.ZSTD, data, level)) == data


@pytest.mark.parametrize("data", [b"", b"x", TEXT, MIXED], ids=["empty", "byte", "text", "mixed"])
def test_frames_of_the_libraries_of_the_clients_are_read(data):
    for linked in (False, True):
        assert decompress(Codec.LZ4, lz4.frame.compress(data, block_linked=linked)) == data
    assert decompress(Codec.ZSTD, zstandard.compress(data)) == data


def test_snappy_is_refused_by_the_size_it_declares_before_anything_is_expanded():
    lies = b"\xff\xff\xff\xff\x0f" + b"abc"  # 4 GiB
    for payload in (lies, XERIAL_HEADER + struct.pack(">i", len(lies)) + lies):
        with pytest.raises(RecordsTooLarge):
            decompress(Codec.SNAPPY, payload)


def test_the_blocks_of_a_xerial_bomb_count_together():
    block = bytes(cramjam.snappy.compress_raw(bytes(1000)))
    packed = XERIAL_HEADER + (struct.pack(">i", len(block)) + block) * 10
    assert decompress(Codec.SNAPPY, packed, max_bytes=10_000) == bytes(10_000)
    with pytest.raises(RecordsTooLarge):
        decompress(Codec.SNAPPY, packed, max_bytes=9_999)


@pytest.mark.parametrize("codec", Codec)
def test_the_limit_itself_is_allowed_and_one_byte_less_is_not(codec):
    packed = compress(codec, TEXT)
    assert decompress(codec, packed, max_bytes=len(TEXT)) == TEXT
    with pytest.raises(RecordsTooLarge):
        decompress(codec, packed, max_bytes=len(TEXT) - 1)


@pytest.mark.parametrize("codec", FRAMED)
def test_very_many_empty_members_take_time_in_proportion_only(codec):
    empty = compress(codec, b"")
    assert decompress(codec, empty * 20_000) == b""  # quadratic copying of the rest would take minutes


def test_a_zstd_window_of_2_gib_is_refused():
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=31)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = stream.compress(TEXT) + stream.flush()
    with pytest.raises(BatchCorrupt):
        decompress(Codec.ZSTD, packed)


@pytest.mark.parametrize("number", [5, 6, 7])
def test_codecs_that_kafka_does_not_define_are_unsupported(number):
    for convert in (compress, decompress):
        with pytest.raises(UnsupportedCodec):
            convert(number, b"")
