"""Cursors: where a page ended, as an opaque string that is safe in a URL.

A cursor holds the sort order and the sort keys of the page's last record (keyset paging): the page after begins behind them, and
records that come or go meanwhile neither repeat nor hide others. What the keys are is the store's own: a cursor is of use to the
kind of store that made it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from pulpo.store.base import Sort, StoreError
from pulpo.store.values import canonical, decode, encode

_HINT = "give the `next` of a page of the same query, or none"


def make_cursor(order: Sequence[Sort], keys: Sequence[Any]) -> str:
    """The cursor behind a record with these sort keys."""
    text = encode({"order": _names(order), "keys": list(keys)})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, order: Sequence[Sort]) -> list[Any]:
    """The sort keys in a cursor: one plain value for each part of the order.

    Raises:
        StoreError: It is no cursor, or one of another order.
    """
    try:
        content = decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode())
        names, keys = content["order"], canonical(content["keys"])
    except (ValueError, KeyError, TypeError, RecursionError, StoreError):
        raise StoreError("this is not a cursor", hint=_HINT) from None
    if names != _names(order):
        raise StoreError("the cursor is of another sort order", hint=_HINT)
    if not isinstance(keys, list) or len(keys) != len(order) or any(isinstance(key, list | dict) for key in keys):
        raise StoreError("this is not a cursor", hint=_HINT)
    return keys


def _names(order: Sequence[Sort]) -> list[str]:
    return [f"-{key.field}" if key.descending else key.field for key in order]
