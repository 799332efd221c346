"""Joining pieces of a text with anchors so that each alias still means what it meant."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ruamel.yaml.nodes import Node, ScalarNode

from pulpo.manifest.yaml_read import data_of
from pulpo.manifest.yaml_write import flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulpo.manifest.splice_parts import Piece, Source


@dataclass(frozen=True, slots=True)
class _Token:
    """An anchor or an alias in the text."""

    start: int
    end: int
    name: str
    is_alias: bool


def joined(source: Source, pieces: Sequence[Piece]) -> str:
    """The text of the pieces.

    An alias whose anchor is not in a piece before it gives way to the value that it stood for, with the anchor if other aliases
    follow.
    """
    if source.aliases:
        pieces = _Joiner(source).joined(pieces)
    return "".join([piece if isinstance(piece, str) else source.text[slice(*piece)] for piece in pieces])


class _Joiner:
    """Goes through the pieces once."""

    def __init__(self, source: Source) -> None:
        #: In the order of the text; an anchor without its node.
        self._tokens = [
            _Token(start, end if alias else start + 1 + len(name), name, alias) for start, end, name, alias in source.tokens
        ]
        self._starts = [token.start for token in self._tokens]
        #: The names that are set in the pieces that are through.
        self._names: set[str] = set()
        self._nodes: dict[str, Node] = {}
        self._seen: set[int] = set()
        names = {token.start: token.name for token in self._tokens if not token.is_alias}
        self._collect(source.document.root, names)

    def joined(self, pieces: Sequence[Piece]) -> list[Piece]:
        found: list[Piece | _Token] = []
        for piece in pieces:
            if isinstance(piece, str):
                found.append(piece)
                continue
            at, end = piece
            for token in self._tokens[bisect_left(self._starts, at) : bisect_left(self._starts, end)]:
                found += [(at, token.start), token]
                at = token.end
            found.append((at, end))
        return [self._written(item, found, n + 1) if isinstance(item, _Token) else item for n, item in enumerate(found)]

    def _written(self, token: _Token, found: Sequence[Piece | _Token], following: int) -> str:
        """An anchor can be set once: where an alias has it already, its node goes on without."""
        is_set = token.name in self._names
        if not token.is_alias:
            self._names.add(token.name)
            return "" if is_set else f"&{token.name}"
        if is_set:
            return f"*{token.name}"
        value = flow(data_of(self._nodes[token.name]), within=True)
        others = (item for item in found[following:] if isinstance(item, _Token) and item.is_alias)
        if all(other.name != token.name for other in others):
            return value
        self._names.add(token.name)
        return f"&{token.name} {value}"

    def _collect(self, node: Node, names: dict[int, str]) -> None:
        """Find the nodes that have the names; each is met first where it has its anchor, before what it begins with."""
        name = names.pop(node.start_mark.index, None)
        if name is not None:
            self._nodes[name] = node
            self._seen.add(id(node))
        elif id(node) in self._seen:
            return
        for child in () if isinstance(node, ScalarNode) else node.value:
            for part in child if isinstance(child, tuple) else (child,):
                self._collect(part, names)
