"""What a plan is made of, whatever it is a plan for: changes, each with its address, its cause and its fields."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN = "***"
#: The last line of a whole plan without changes.
NOTHING = "No changes: the world is as the manifest says"


class Action(StrEnum):
    """What is done to a thing; `replace` deletes it and makes it anew."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"


SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.REPLACE: "±", Action.DELETE: "-"}


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """A field before and after, as JSON values with secrets already hidden; None is unset."""

    #: Dotted, down to what differs: `parameters.keywords`.
    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """As in `parameters.keywords: "python" → "rust"`; of what is hidden only that it changed."""
        if self.before == self.after == HIDDEN:
            return f"{self.name}: changed"
        return f"{self.name}: {_shown(self.before)} → {_shown(self.after)}"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as the manifest says, and what is done about it."""

    #: Kind and name: `deployment:scraping/jobs`, `work_pool:jobs-process`.
    address: str
    action: Action
    #: Why, for people: `changed in the manifest`.
    cause: str
    #: Sorted by name; only those that differ. Empty for what is created or deleted whole.
    fields: tuple[FieldDiff, ...] = ()
    #: Whether it loses what can't be made again from the manifest.
    destructive: bool = False
    #: Whether the thing was changed behind the manifest's back.
    drift: bool = False
    #: What happens to others by it, for people: `service:api is made anew with it`. None where nothing does.
    effect: str | None = None

    def __str__(self) -> str:
        """A line, and one more a field: `~ deployment:scraping/jobs  changed in Prefect`."""
        first = f"{SIGNS[self.action]} {self.address}  {self.cause}"
        return "\n".join([first, *(f"    {field}" for field in self.fields)])


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a thing that people should know and that changes nothing."""

    address: str
    message: str

    def __str__(self) -> str:
        """As in `deployment:scraping/jobs  is paused in Prefect, and stays so`."""
        return f"{self.address}  {self.message}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, in the order in which they are made: what others need first, and by address."""

    changes: tuple[Change, ...] = ()
    #: Sorted by address.
    notes: tuple[Note, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changes)

    def __str__(self) -> str:
        """The changes and the notes, with `summary` as the last line."""
        return "\n".join([*map(str, self.changes), *(f"  {note}" for note in self.notes), self.summary])

    @property
    def summary(self) -> str:
        """As in `Plan: 1 to create, 2 to update, 0 to delete`; what is replaced is named where there is any."""
        return f"Plan: {', '.join(self._counts())}"

    def _counts(self) -> Iterator[str]:
        count = Counter(change.action for change in self.changes)
        for action in Action:
            if count[action] or action is not Action.REPLACE:
                yield f"{count[action]} to {action}"


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    return HIDDEN if value == HIDDEN else json.dumps(value, ensure_ascii=False, sort_keys=True)
