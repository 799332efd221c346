"""Records on their way from one step to the next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pulpo.store.base import Record


@dataclass(slots=True)
class Batch:
    """Records of one model, in order, each beside its id; no id stands twice."""

    model: str
    ids: list[str] = field(default_factory=list)
    records: list[object] = field(default_factory=list)


@dataclass(slots=True)
class Made(Batch):
    """What an operation made of one of its outputs, with the rows that have to be stored for it."""

    rows: list[Record] = field(default_factory=list)


def joined(model: str, parts: Iterable[Made]) -> Made:
    """All parts in order as one; of records with one id the last counts, at the place of the first."""
    whole = Made(model)
    for part in parts:
        whole.ids += part.ids
        whole.records += part.records
        whole.rows += part.rows
    if len(set(whole.ids)) == len(whole.ids):
        return whole
    last = {record_id: index for index, record_id in enumerate(whole.ids)}
    return Made(
        model,
        list(last),
        [whole.records[index] for index in last.values()],
        [whole.rows[index] for index in last.values()],
    )
