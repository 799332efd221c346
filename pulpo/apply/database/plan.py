"""The plan from what is desired and what was observed, without asking the database or anybody anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pulpo.apply.change import Action, Change, FieldDiff, Note
from pulpo.apply.database.observe import address_of, index_address
from pulpo.apply.database.steps import DropCollection, DropIndexes, Ensure, Step, Steps
from pulpo.run.record import HISTORY
from pulpo.store.base import Index, ObservedCollection, ObservedIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pulpo.apply.database.observe import ObservedDatabase
    from pulpo.store.base import Collection

_LEFT: Final = "left the manifest"
_OURS: Final = "of this project"
_NOT_THERE: Final = "not in the database"
#: Of the history of runs, which is made when the first one is.
_OWN: Final = frozenset(collection.name for collection in HISTORY)


def plan_database(
    desired: Sequence[Collection], observed: ObservedDatabase, *, project: str, destroy_data: bool = False
) -> Steps:
    """What has to be done so that the database has the desired collections and indexes, and no others of the project.

    Args:
        desired: All collections of the manifest, each name once, and in each no two indexes over the same fields; those of the
            history of runs are passed over.
        observed: What is in the database.
        project: Whose collections and indexes may be dropped.
        destroy_data: Drop collections that left the manifest with their records, too; else those that have any are noted.
    """
    wanted = {one.name: one for one in sorted(desired, key=lambda one: one.name) if one.name not in _OWN}
    live = {name: one for name, one in sorted(observed.collections.items()) if name not in _OWN}
    making: list[Step] = [_create(one) for name, one in wanted.items() if name not in live]
    leaving: list[Step] = []
    notes: list[Note] = []
    for name, one in wanted.items():
        for step in _indexes(one, live.get(name, ObservedCollection()), project):
            (leaving if isinstance(step, DropIndexes) else making).append(step)
        notes += _shared(name, live.get(name), project)
    for name, there in live.items():
        if name in wanted:
            continue
        if not there.is_of(project):
            leaving += [_drop_indexes(name, fields, those) for fields, those in _by_fields(there, project).items()]
        elif there.records and not destroy_data:
            held = f"holds {_records(there)}: --destroy-data drops it"
            notes.append(Note(address_of(name), f"{_LEFT}, {held}"))
        else:
            leaving.append(_drop(name, there, _LEFT))
    leaving.sort(key=lambda step: (isinstance(step, DropCollection), step.change.address))
    return Steps((*making, *leaving), tuple(sorted(notes, key=lambda note: note.address)))


def plan_removal(observed: ObservedDatabase, *, project: str) -> Steps:
    """What has to be done so that nothing of the project is left in the database: its records and the history of its runs.

    The history is kept where another project has collections in the same database: its runs are in there, too.
    """
    live = dict(sorted(observed.collections.items()))
    others = sorted({one.project for one in live.values() if one.project is not None and not one.is_of(project)})
    kept = {name for name, one in live.items() if name in _OWN and others and one.is_of(project)}
    steps: list[Step] = []
    for name, there in live.items():
        if not there.is_of(project):
            steps += [_drop_indexes(name, fields, those, _OURS) for fields, those in _by_fields(there, project).items()]
        elif name not in kept:
            steps.append(_drop(name, there, _OURS))
    steps.sort(key=lambda step: (isinstance(step, DropCollection), step.change.address))
    notes = [Note(address_of(name), f"stays: the project {others[0]} has its runs in it, too") for name in sorted(kept)]
    return Steps(tuple(steps), tuple(notes))


def _create(wanted: Collection) -> Ensure:
    return Ensure(Change(address_of(wanted.name), Action.CREATE, _NOT_THERE), replace(wanted, indexes=()))


def _indexes(wanted: Collection, there: ObservedCollection, project: str) -> Iterator[Step]:
    """What is done about the indexes of a collection that is desired, by address."""
    ours = _by_fields(there, project)
    desired = {index.fields: index for index in wanted.indexes}
    for fields in sorted(ours.keys() | desired.keys()):
        index = desired.get(fields)
        if index is None:
            yield _drop_indexes(wanted.name, fields, ours[fields])
        elif step := _index(wanted, index, there, ours.get(fields, ())):
            yield step


def _index(wanted: Collection, index: Index, there: ObservedCollection, ours: Sequence[ObservedIndex]) -> Ensure | None:
    """What is done about an index that is desired, given those of the project over the same fields."""
    is_there = any(other.index == index and not other.altered for other in there.indexes)
    stale = [other for other in ours if other.index != index]
    altered = [other for other in ours if other.index == index and other.altered]
    where = index_address(wanted.name, index.fields)
    if stale:
        unique = FieldDiff("unique", stale[0].index.unique, index.unique)
        change = Change(where, Action.REPLACE, "changed in the manifest", (unique,))
    elif altered:
        change = Change(where, Action.REPLACE, "changed in the database", drift=True)
    elif not is_there:
        change = Change(where, Action.CREATE, _NOT_THERE)
    else:
        return None
    one = replace(wanted, indexes=(index,))
    # One that was altered has the name of the one that is made.
    return Ensure(change, one, tuple(other.name for other in altered), tuple(other.name for other in stale))


def _by_fields(there: ObservedCollection, project: str) -> Mapping[tuple[str, ...], tuple[ObservedIndex, ...]]:
    """The project's own indexes, by what they are over, sorted."""
    ours = [index for index in there.indexes if index.is_of(project)]
    return {
        fields: tuple(one for one in ours if one.index.fields == fields) for fields in sorted({one.index.fields for one in ours})
    }


def _drop_indexes(collection: str, fields: tuple[str, ...], those: Iterable[ObservedIndex], cause: str = _LEFT) -> DropIndexes:
    change = Change(index_address(collection, fields), Action.DELETE, cause)
    return DropIndexes(change, collection, tuple(one.name for one in those))


def _drop(name: str, there: ObservedCollection, cause: str) -> DropCollection:
    holds = f"holds {_records(there)}" if there.records else "is empty"
    change = Change(address_of(name), Action.DELETE, f"{cause}, {holds}", destructive=bool(there.records))
    return DropCollection(change, name, with_records=bool(there.records))


def _shared(name: str, there: ObservedCollection | None, project: str) -> Iterator[Note]:
    if there is not None and there.project is not None and not there.is_of(project):
        yield Note(address_of(name), f"was made by the project {there.project}, which has its records in it, too")


def _records(there: ObservedCollection) -> str:
    return f"{there.records} record{'' if there.records == 1 else 's'}"
