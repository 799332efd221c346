"""What a query says, whatever the store: fields, conditions checked and made canonical, the whole sort order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, get_args

from pulpo.names import did_you_mean
from pulpo.store.base import Condition, Operator, Sort, StoreError
from pulpo.store.values import canonical, nested_name_problem

#: What a store keeps beside a record's data: the name to query it by, and the attribute of `Record`.
ENVELOPE: Final = {
    "_id": "id",
    "_rev": "rev",
    "_run": "run",
    "_operation": "operation",
    "_created": "created",
    "_updated": "updated",
}

ORDER_OPERATORS: Final = frozenset({"gt", "gte", "lt", "lte"})
_OPERATORS: Final = get_args(Operator)


def fold(text: str) -> str:
    """The text without case: Unicode's simple folding, one letter for one, as regular expressions have it."""
    folded = text.casefold()
    return folded if len(folded) == len(text) else "".join(map(_fold_letter, text))


def _fold_letter(letter: str) -> str:
    return next((one for one in (letter.casefold(), letter.lower()) if len(one) == 1), letter)


def checked(where: Sequence[Condition]) -> list[Condition]:
    """The conditions with their values in canonical form.

    Raises:
        StoreError: A field can't be one, an operator is not known, or does not take the value.
    """
    return [_checked(condition) for condition in where]


def sort_order(sort: Sequence[Sort]) -> tuple[Sort, ...]:
    """The whole order: the id comes last, in the direction of the key before it, unless it is named already.

    Raises:
        StoreError: A field can't be one.
    """
    for key in sort:
        _check_field(key.field)
    if any(key.field == "_id" for key in sort):
        return tuple(sort)
    return (*sort, Sort("_id", sort[-1].descending if sort else False))


def check_paging(limit: int, skip: int) -> None:
    """Raise a `StoreError` unless a page has at least one record and skips none or more."""
    if limit < 1:
        raise StoreError(f"a page has at least one record, the limit is: {limit}")
    if skip < 0:
        raise StoreError(f"skip can't be negative: {skip}")


def _checked(condition: Condition) -> Condition:
    _check_field(condition.field)
    if condition.operator not in _OPERATORS:
        raise StoreError(
            f"there is no such operator: {condition.operator}",
            hint=did_you_mean(condition.operator, _OPERATORS) or f"one of {', '.join(_OPERATORS)}",
        )
    value = canonical(condition.value)
    wanted = _wanted(condition.operator, value)
    if wanted is not None:
        raise StoreError(f"{condition.operator} on {condition.field} needs {wanted}, not: {condition.value!r}")
    return dataclasses.replace(condition, value=value)


def _wanted(operator: str, value: Any) -> str | None:
    """What the operator needs instead of the value, or None."""
    if operator in ORDER_OPERATORS:
        fits, wanted = isinstance(value, int | float | str | datetime) and not isinstance(value, bool), "a number, string or time"
    elif operator in ("in", "nin"):
        fits, wanted = isinstance(value, list) and all(map(_is_scalar, value)), "a list of plain values"
    elif operator in ("contains", "startswith"):
        fits, wanted = isinstance(value, str), "a string"
    elif operator == "exists":
        fits, wanted = isinstance(value, bool), "true or false"
    else:
        fits, wanted = _is_scalar(value), "a plain value, not a list or an object"
    return None if fits else wanted


def _is_scalar(value: object) -> bool:
    return not isinstance(value, list | dict)


def _check_field(name: str) -> None:
    if name.startswith("_"):
        if name not in ENVELOPE:
            raise StoreError(f"there is no such field: {name}", hint=did_you_mean(name, ENVELOPE))
        return
    problem = next(filter(None, map(nested_name_problem, name.split("."))), None)
    if problem is not None:
        raise StoreError(f"a query can't name this field: {name!r}", hint=problem)
