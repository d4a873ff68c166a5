"""A store on the local disk: RocksDB, with a column family for each bucket, so that one is thrown away at once.

There is no log of writes to recover from: what the memtables held is lost with the process and folded in again from
Kafka. All column families are flushed together, so what is found after a crash is what some write left. What it takes
of memory is bounded by two budgets that all stores of a process share; what it takes of the disk, by the horizon.
"""

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from streams import logs
from streams.errors import UsageError
from streams.joining.store import Change, Size

__all__ = ["Memory", "RocksStore", "tidy"]

_MARKS = b"marks"
_DEFAULT = "default"
_OPEN_FILES = 200  # per store
_BLOOM_BITS = 10  # 1 % of what is not there is looked for


class Memory:
    """What the stores of a process may take together: half for what waits to be written, half for what was read."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.cache = Cache(limit_bytes // 2)
        self.buffers = WriteBufferManager(limit_bytes // 2, allow_stall=False)
        self.buffer_bytes = max(limit_bytes // 16, 1 << 20)


class RocksStore:
    """See `streams.joining.store.Store`.

    Parameters
    ----------
    path : a directory of its own; it is created, and what cannot be read in it is thrown away

    Raises
    ------
    UsageError
        Another process uses the directory, or it cannot be written.
    """

    def __init__(self, path: Path, memory: Memory) -> None:
        self._path, self._memory = path, memory
        self._write = WriteOptions()
        self._write.disable_wal = True  # type: ignore[method-assign,assignment] # a property, whatever the stub says
        self._open()

    def _open(self) -> None:
        options = _options(self._memory)
        place = str(self._path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            names = Rdict.list_cf(place, options) if (self._path / "CURRENT").exists() else []
            self._db = Rdict(place, options, {n: options for n in names if n != _DEFAULT} or None)
        except OSError as error:
            raise UsageError(f"{place}: {error.strerror}: set joiner.directory") from None
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing more specific
            if "lock" in str(error).lower():
                raise UsageError(
                    f"{place} is in use by another process: give each joiner an --instance of its own"
                ) from None
            logs.warning("store.unreadable", path=place, error=str(error), next="rebuilding it")
            shutil.rmtree(place)
            names, self._db = [], Rdict(place, options)
        self._db.set_write_options(self._write)
        self._own = self._db.get_column_family_handle(_DEFAULT)
        found = {int(name): self._db.get_column_family(name) for name in names if name != _DEFAULT}
        self._families: dict[int, Any] = dict(sorted(found.items(), reverse=True))  # latest first
        self._handles = {b: self._db.get_column_family_handle(str(b)) for b in self._families}
        self.marks: bytes | None = self._db.get(_MARKS)

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, Change]:
        found: dict[bytes, Change] = {}
        wanted = list(keys)
        for bucket, family in self._families.items():
            if not wanted:
                break
            values = family.get(wanted)
            if values.count(None) < len(values):
                pairs = zip(wanted, values, strict=True)
                found |= {key: (bucket, value) for key, value in pairs if value is not None}
                wanted = [key for key in wanted if key not in found]
        return found

    def write(self, changes: Mapping[bytes, Change], marks: bytes, gone_ms: int) -> None:
        batch, handles = WriteBatch(raw_mode=True), self._handles
        put = batch.put
        for key, (bucket, value) in changes.items():
            if bucket >= gone_ms:
                put(key, value, handles.get(bucket) or self._add(bucket))
        put(_MARKS, marks, self._own)
        self._db.write(batch, self._write)
        self.marks = marks

    def _add(self, bucket: int) -> Any:
        family = self._db.create_column_family(str(bucket), _options(self._memory))
        self._families[bucket] = family
        self._families = dict(sorted(self._families.items(), reverse=True))
        handle = self._handles[bucket] = self._db.get_column_family_handle(str(bucket))
        return handle

    def drop(self, buckets: Collection[int]) -> None:
        for bucket in buckets:
            if bucket in self._families:
                del self._families[bucket], self._handles[bucket]
                self._db.drop_column_family(str(bucket))

    def buckets(self) -> Iterable[int]:
        return tuple(self._families)

    def erase(self) -> None:
        self._let_go()
        shutil.rmtree(self._path)
        self._open()

    def size(self) -> Size:
        disk = sum(
            family.property_int_value("rocksdb.live-sst-files-size") or 0
            for family in (self._db, *self._families.values())
        )
        memory = sum(
            family.property_int_value("rocksdb.cur-size-all-mem-tables") or 0
            for family in (self._db, *self._families.values())
        )
        return Size(disk, memory)

    def close(self) -> None:
        """What is in memory is written first, so that nothing has to be read again."""
        self._db.flush()
        self._let_go()

    def _let_go(self) -> None:
        for family in self._families.values():
            family.close()
        self._families.clear()
        self._handles.clear()
        del self._own  # every handle keeps the database open
        self._db.close()


def tidy(directory: Path, kept: Collection[str]) -> None:
    """Free what other lanes have taken, which are somebody else's now."""
    if not kept or not directory.is_dir():
        return
    for place in directory.iterdir():
        if place.name not in kept:
            shutil.rmtree(place, ignore_errors=True)


def _options(memory: Memory) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_atomic_flush(True)
    options.set_write_buffer_manager(memory.buffers)
    options.set_write_buffer_size(memory.buffer_bytes)
    options.set_max_write_buffer_number(4)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(0.1)
    options.set_max_open_files(_OPEN_FILES)
    options.set_max_background_jobs(2)
    options.set_level_zero_file_num_compaction_trigger(8)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1 << 20)
    table = BlockBasedOptions()
    table.set_block_cache(memory.cache)
    table.set_cache_index_and_filter_blocks(True)
    table.set_bloom_filter(_BLOOM_BITS, False)
    options.set_block_based_table_factory(table)
    return options
