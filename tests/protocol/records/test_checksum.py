import importlib.util
import subprocess
import sys
import zlib

import pytest

from barnabas.protocol.records import checksum

CHECK = b"123456789"  # the check input of every CRC catalogue


def test_crc32c_gives_the_catalogue_value_and_is_not_zlibs_crc32():
    assert checksum.crc32c(CHECK) == 0xE3069283 != zlib.crc32(CHECK)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: memoryview(bytearray(b))])
def test_crc32c_takes_every_kind_of_buffer_and_slices_of_it(kind):
    padded = kind(b"xx" + CHECK + b"yy")
    assert checksum.crc32c(memoryview(padded)[2:-2]) == 0xE3069283
    assert checksum.crc32c(kind(CHECK)) == 0xE3069283


def test_crc32c_continues_from_the_value_of_what_came_before():
    assert checksum.crc32c(CHECK[4:], checksum.crc32c(CHECK[:4])) == checksum.crc32c(CHECK)


def test_crc32c_is_the_native_function_itself():
    assert type(checksum.crc32c).__name__ == "builtin_function_or_method"


def test_a_package_that_is_laid_out_otherwise_is_imported_as_a_whole(monkeypatch):
    def refuse(name):
        raise ValueError(name)

    monkeypatch.setattr(importlib.util, "find_spec", refuse)
    assert checksum._resolve()(CHECK) == 0xE3069283


def test_the_direct_load_and_the_package_live_in_one_process():
    import crc32c

    assert crc32c.crc32c(CHECK) == checksum.crc32c(CHECK)


def test_importing_the_records_imports_no_codec_and_not_the_crc32c_package():
    heavy = {"crc32c", "lz4", "zstandard", "cramjam", "argparse", "importlib.metadata"}
    program = f"import sys, barnabas.protocol.records; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
