"""An earlier run that a test makes up, so that there is something that the last run stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pulpo.errors import UsageError
from pulpo.manifest.model import Manifest
from pulpo.names import PIPELINE
from pulpo.run import beanie
from pulpo.run.codec import Codec, WrongRecordError
from pulpo.run.record import OUTPUTS, RUNS, RunRecord, State, new_run_id, output_records
from pulpo.store.base import Record, Store
from pulpo.store.values import record_id

#: No run of today is before it.
_LONG_AGO: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
#: What made the records: no operation of the manifest, for its name has none that could be one's.
_MAKER: Final = "-"


async def store_previous(store: Store, manifest: Manifest, records: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Store records, by model, as if an earlier run had made them; no run where there are none.

    Raises:
        UsageError: One is not what its model says.
    """
    if not records:
        return
    beanie.use(store)
    codecs = {model: Codec(model, manifest.models[model]) for model in records}
    await beanie.initialise({codec.cls: codec.collection.name for codec in codecs.values()})
    run = RunRecord(new_run_id(_LONG_AGO), PIPELINE, State.COMPLETED, _LONG_AGO, finished=_LONG_AGO)
    await store.upsert_many(RUNS, [Record(run.id, run.data(), run=run.id)])
    for model, codec in codecs.items():
        rows = {row.id: row for index, data in enumerate(records[model]) for row in [_row(codec, data, index, run.id)]}
        await store.upsert_many(codec.collection, rows.values())
        await store.upsert_many(OUTPUTS, output_records(run.id, _MAKER, 0, model, list(rows)))


def _row(codec: Codec, data: Mapping[str, Any], index: int, run: str) -> Record:
    try:
        _, plain = codec.checked(dict(data))
    except WrongRecordError as error:
        shown = "" if error.value is None else f": {error.value}"
        raise UsageError(f"record {index + 1} of `previous` is no {codec.name}: {error.message}{shown}") from error
    return Record(codec.identity(plain) or record_id(run, codec.name, index), plain, run=run, operation=_MAKER)
