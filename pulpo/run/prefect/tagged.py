"""Tags of a flow run alone, as those of a deployment are: what runs in it does not get them."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterable, Iterator

from prefect import tags
from prefect.context import TagsContext

#: The tags around the flow that is called.
_AROUND: contextvars.ContextVar[TagsContext | None] = contextvars.ContextVar("pulpo_tags_around", default=None)


@contextlib.contextmanager
def tagged(own: Iterable[str]) -> Iterator[None]:
    """A flow run that begins within it has these tags, besides those that are there."""
    token = _AROUND.set(TagsContext.get())
    try:
        with tags(*own):
            yield
    finally:
        _AROUND.reset(token)


def leave_tags() -> None:
    """The body of a flow begins: its tags are not for what runs in it."""
    around = _AROUND.get()
    if around is not None:
        TagsContext.__var__.set(around)
