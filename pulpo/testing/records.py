"""Records that a test gives, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from pulpo.errors import UsageError
from pulpo.run.beanie import is_document

#: What Beanie adds to a document, and no record has.
_OF_DOCUMENTS = {"id", "revision_id"}


def as_data(model: str, record: object) -> dict[str, Any]:
    """The data of a record, by field name: of a dict itself.

    Raises:
        UsageError: It is neither a dict, nor a pydantic model or a dataclass.
    """
    if isinstance(record, Mapping):
        return dict(record)
    if isinstance(record, BaseModel):
        excluded = _OF_DOCUMENTS if is_document(type(record)) else None
        return record.model_dump(round_trip=True, by_alias=False, warnings=False, exclude=excluded)
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        data: dict[str, Any] = TypeAdapter(type(record)).dump_python(record, round_trip=True, by_alias=False, warnings=False)
        return data
    raise UsageError(f"a record of {model} is an instance of its class, or a dict, not: {record!r}")
