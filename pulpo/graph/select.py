"""Choosing a part of a flow: `name`, `+name`, `name+`, globs, flows and `tag:x`; from and to; only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulpo.errors import UsageError
from pulpo.graph.globs import matching
from pulpo.names import PIPELINE, did_you_mean, parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pulpo.graph.dataflow import DataFlow

_TAG = "tag:"


def select(
    flow: DataFlow,
    operations: Sequence[str],
    tags: Mapping[str, Iterable[str]],
    *,
    select: Sequence[str] = (),
    from_: Sequence[str] = (),
    to: Sequence[str] = (),
    only: Sequence[str] = (),
) -> frozenset[str]:
    """The operations that all of the options given agree on; without any, all of them.

    Each option takes several expressions, which add up. An expression is an operation, a flow, a glob over operations or
    `tag:x`; in `select` with `+` before it for all upstream, and after it for all downstream.

    Args:
        flow: Says what is upstream and downstream.
        operations: What there is to choose from.
        tags: The tags of operations; one that is missing has none.
        select: Exactly these, and what their `+` adds.
        from_: These and all downstream of them.
        to: These and all upstream of them.
        only: Exactly these.

    Raises:
        UsageError: An expression means nothing here, or nothing is left.
    """
    choice = _Choice(flow, sorted(operations), {name: frozenset(tags.get(name, ())) for name in operations})
    chosen = set(operations)
    if select:
        chosen &= choice.union(select)
    if from_:
        chosen &= choice.union(f"{text}+" for text in map(_plain, from_))
    if to:
        chosen &= choice.union(f"+{text}" for text in map(_plain, to))
    if only:
        chosen &= choice.union(map(_plain, only))
    if not chosen:
        raise UsageError("the selection leaves no operation", hint="the options given have nothing in common; drop one of them")
    return frozenset(chosen)


def _plain(text: str) -> str:
    if text.startswith("+") or text.endswith("+"):
        raise UsageError(f"`+` has a meaning in --select only, not in: {text}")
    return text


@dataclass(frozen=True, slots=True)
class _Choice:
    flow: DataFlow
    #: Sorted.
    operations: Sequence[str]
    tags: Mapping[str, frozenset[str]]

    def union(self, expressions: Iterable[str]) -> set[str]:
        return {name for text in expressions for name in self._expression(text)}

    def _expression(self, text: str) -> set[str]:
        named = self._named(text.removeprefix("+").removesuffix("+"))
        found = set(named)
        for name in named:
            if text.startswith("+"):
                found |= self.flow.upstream(name)
            if text.endswith("+"):
                found |= self.flow.downstream(name)
        return found

    def _named(self, text: str) -> Sequence[str]:
        if text.startswith(_TAG):
            tag = text.removeprefix(_TAG)
            found = [name for name in self.operations if tag in self.tags[name]]
        elif "*" in text:
            found = list(matching(text, self.operations))
        elif text == PIPELINE:
            return self.operations
        else:
            found = [name for name in self.operations if name == text or text in parents(name)]
        return found or self._unknown(text)

    def _unknown(self, text: str) -> Sequence[str]:
        if text.startswith(_TAG):
            tag = text.removeprefix(_TAG)
            known = sorted({tag for tags in self.tags.values() for tag in tags})
            listed = f"there are the tags {', '.join(known)}" if known else "no operation has a tag"
            raise UsageError(f"no operation has the tag: {tag}", hint=did_you_mean(tag, known) or listed)
        flows = sorted({flow for name in self.operations for flow in parents(name)})
        if "*" in text:
            known = [f"{flow}.*" for flow in flows]
            raise UsageError(f"no operation matches: {text}", hint=did_you_mean(text, known))
        hint = did_you_mean(text, [*self.operations, *flows])
        raise UsageError(f"no operation or flow has the name: {text}", hint=hint)
