"""Two branches' versions of a lock, merged chunk by chunk.

A chunk that one branch changed is taken as it stands, with its comments. One that both changed is merged by what it holds, key
by key; where a value is to be written that neither text has, `pulpo.manifest.splice` writes it into ours. What nobody can
decide stands between conflict markers, as narrow as it can be.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pulpo.errors import DiagnosticsError
from pulpo.lock.changes import MISSING
from pulpo.lock.chunks import Chunk, cut
from pulpo.lock.threeway import Branches, ClashError, renames
from pulpo.manifest.equality import same
from pulpo.manifest.yaml_read import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pulpo.diagnostics import Path
    from pulpo.manifest.yaml_read import Document

OURS, BETWEEN, THEIRS = "<<<<<<< ours\n", "=======\n", ">>>>>>> theirs\n"
_NOTHING = Chunk(MISSING)


@dataclass(frozen=True, slots=True)
class Clash:
    """Lines of which nobody can say which stand."""

    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Mixed:
    """What a merge gives: its parts, text or clashes, and the data they are with our side of each clash."""

    parts: list[str | Clash] = field(default_factory=list)
    data: Any = MISSING
    clashes: tuple[Path, ...] = ()
    #: Comments that one branch added and that the text has not, as where the other deleted what they were about.
    lost: tuple[str, ...] = ()

    def resolved(self, side: str) -> str:
        """The text with one side of every clash, `ours` or `theirs`."""
        return "".join(part if isinstance(part, str) else getattr(part, side) for part in self.parts)

    @property
    def text(self) -> str:
        """The text, clashes between conflict markers."""
        return "".join(
            part if isinstance(part, str) else f"{OURS}{part.ours}{BETWEEN}{part.theirs}{THEIRS}" for part in self.parts
        )


def merge_branches(base: Document | None, ours: Document, theirs: Document) -> Mixed | None:
    """The lock that two branches' versions give together; None where their texts can't be taken apart and put together again.

    Args:
        base: Their last common version; None where there is none.
        ours: The version of the branch that is merged into.
        theirs: The version of the branch that is merged.
    """
    root = Chunk({}) if base is None else cut(base)
    roots = root, cut(ours), cut(theirs)
    merger = _Merger(*roots)
    mixed = merger.merge()
    try:
        if merger.written:
            from pulpo.manifest.splice import splice

            ours = read(splice(ours, _with_values(ours.data, merger.values_in_ours())), ours.file, keep_nodes=True)
            mixed = _Merger(root, cut(ours), roots[2], frozenset(merger.written)).merge()
        if mixed.clashes:
            read(mixed.resolved("theirs"), ours.file)
        whole = read(mixed.resolved("ours"), ours.file).data
    except DiagnosticsError:
        return None
    return replace(mixed, lost=_lost(mixed.text, *roots)) if same(whole, mixed.data) else None


def _lost(text: str, base: Chunk, ours: Chunk, theirs: Chunk) -> tuple[str, ...]:
    """The comments that a branch added, and the text has not."""
    kept = {*text.splitlines(), *base.text.splitlines()}
    # Where no line with a comment is missing, no comment is, and nothing has to be taken apart to know.
    suspects = [side for side in (ours, theirs) if any("#" in line for line in {*side.text.splitlines()} - kept)]
    known = set(base.comments()) if suspects else set()
    added = dict.fromkeys(note for side in suspects for note in side.comments() if note not in known)
    return tuple(note for note in added if f"{note}\n" not in text)


def _with_values(data: Any, values: Mapping[Path, Any]) -> Any:
    """A copy of the data with other values at some paths, all of which it has."""
    here = {path[0]: value for path, value in values.items() if len(path) == 1}
    below: dict[Any, dict[Path, Any]] = {}
    for path, value in values.items():
        if len(path) > 1:
            below.setdefault(path[0], {})[path[1:]] = value
    return {k: here[k] if k in here else _with_values(v, below[k]) if k in below else v for k, v in data.items()}


class _Merger:
    def __init__(self, base: Chunk, ours: Chunk, theirs: Chunk, settled: frozenset[Path] = frozenset()) -> None:
        self._roots = base, ours, theirs
        self._branches = Branches(base.data, ours.data, theirs.data)
        #: Paths at which our text has the value already that both give together.
        self._settled = settled
        #: Values that neither text has.
        self.written: dict[Path, Any] = {}
        #: What our text calls entries that their branch gave another name.
        self._former: dict[Path, Path] = {}

    def merge(self) -> Mixed:
        return self._both((), *self._roots)

    def values_in_ours(self) -> dict[Path, Any]:
        """Values that neither text has, by the paths that our text has for them."""
        return {self._former.get(path[:2], path[:2]) + path[2:]: value for path, value in self.written.items()}

    def _both(self, path: Path, base: Chunk, ours: Chunk, theirs: Chunk) -> Mixed:
        """What a chunk becomes that both branches have."""
        if theirs.text in (ours.text, base.text):
            return Mixed([ours.text], ours.data)
        if ours.text == base.text:
            return Mixed([theirs.text], theirs.data)
        mine, other = ours.parts, theirs.parts
        if not (mine.children and other.children):
            return self._leaf(path, base, ours, theirs)
        inner = self._children(path, _parted(base), mine.children, other.children)
        takes_theirs = mine.own == base.parts.own or path in self._former
        own, notes = (other.own, mine.notes) if takes_theirs else (mine.own, other.notes)
        lead, tail = _around(base, ours, theirs, own, notes)
        empty = f"{_indent(next(iter(mine.children.values())))}{{}}\n" if not inner.parts else ""
        return Mixed([lead, own, *inner.parts, empty, tail], inner.data, inner.clashes)

    def _leaf(self, path: Path, base: Chunk, ours: Chunk, theirs: Chunk) -> Mixed:
        """What a chunk becomes that both branches changed, and that can't be taken apart."""
        try:
            data = self._branches.combine(path, base.data, ours.data, theirs.data)
        except ClashError:
            lead, tail = (_comments(*(getattr(side, part) for side in (base, ours, theirs))) for part in ("lead", "tail"))
            return Mixed([lead, Clash(ours.body, theirs.body), tail], ours.data, (path,))
        theirs_alone = not same(data, ours.data) or ours.body == base.body or path in self._former
        takes_theirs = same(data, theirs.data) and theirs_alone
        if not takes_theirs and not same(data, ours.data) and path not in self._settled:
            self.written[path] = data
        body, notes = (theirs.body, ours.notes()) if takes_theirs else (ours.body, theirs.notes())
        lead, tail = _around(base, ours, theirs, body, notes)
        return Mixed([lead, body, tail], data)

    def _children(self, path: Path, base: Mapping[str, Chunk], ours: Mapping[str, Chunk], theirs: Mapping[str, Chunk]) -> Mixed:
        """What the keys of a mapping become: in our order, those that only theirs has where they stand there."""
        ours_names, theirs_names = self._names(path)
        names = {**ours_names, **theirs_names}
        self._former |= {(*path, new): (*path, old) for old, new in theirs_names.items()}
        base = {names.get(key, key): chunk for key, chunk in base.items()}
        ours = {theirs_names.get(key, key): chunk for key, chunk in ours.items()}
        theirs = {ours_names.get(key, key): chunk for key, chunk in theirs.items()}
        placed = ours.keys() - set(theirs_names.values())
        order = [key for key in ours if key in placed]
        for before, key in zip([None, *theirs], theirs, strict=False):
            if key not in placed:
                order.insert(_place(order, before, key, theirs), key)
        mixed = {key: self._child((*path, key), base.get(key), ours.get(key), theirs.get(key)) for key in order}
        return Mixed(
            [part for one in mixed.values() for part in one.parts],
            {key: one.data for key, one in mixed.items() if one.data is not MISSING},
            tuple(clash for one in mixed.values() for clash in one.clashes),
        )

    def _names(self, path: Path) -> tuple[dict[str, str], dict[str, str]]:
        """The new names that our branch and their branch gave to entries of a section."""
        section = path[-1] if path in (("operations",), ("models",), ("declared", "operations"), ("declared", "models")) else None
        if section is None:
            return {}, {}
        base, ours, theirs = (root.data for root in self._roots)
        by_ours, by_theirs = renames(base, ours, str(section)), renames(base, theirs, str(section))
        return (
            {old: new for old, new in by_ours.items() if old not in by_theirs},
            {old: new for old, new in by_theirs.items() if old not in by_ours},
        )

    def _child(self, path: Path, base: Chunk | None, ours: Chunk | None, theirs: Chunk | None) -> Mixed:
        if ours is not None and theirs is not None:
            return self._both(path, base or _NOTHING, ours, theirs)
        left = ours or theirs
        if left is None:
            return Mixed()
        if base is None:
            return Mixed([left.text], left.data)
        noted = set(left.comments()) - set(base.comments())
        if same(left.data, base.data) and not noted:
            return Mixed()
        if noted or self._branches.edits(path, base.data, left.data):
            clash = Clash(ours.text, "") if ours else Clash("", left.text)
            return Mixed([clash], ours.data if ours else MISSING, (path,))
        # Only what is derived differs: an entry goes, and within one our side stands.
        stays = ours is not None and self._branches.is_derived(path)
        return Mixed([left.text], left.data) if stays else Mixed()


def _parted(chunk: Chunk) -> Mapping[str, Chunk]:
    """The chunks of a mapping; without text where it is written on one line."""
    if chunk.parts.children or not isinstance(chunk.data, dict):
        return chunk.parts.children
    return {key: Chunk(value) for key, value in chunk.data.items()}


def _place(order: list[str], before: str | None, key: str, theirs: Mapping[str, Chunk]) -> int:
    """Where a key that only theirs has goes: after the one before it there, and in the order of names among ours beside it."""
    at = order.index(before) + 1 if before in order else 0
    while at < len(order) and order[at] not in theirs and order[at] < key:
        at += 1
    return at


def _around(base: Chunk, ours: Chunk, theirs: Chunk, own: str, notes: Iterable[str]) -> tuple[str, str]:
    """What stands above and below a key whose own text is one side's; comments that the other one put in its own go above."""
    lead = _comments(base.lead, ours.lead, theirs.lead)
    added = [note for note in notes if not any(f"{note}\n" in text for text in (base.body, own, lead))]
    indent = _indent(ours)
    return lead + "".join(f"{indent}{note}\n" for note in added), _comments(base.tail, ours.tail, theirs.tail)


def _indent(chunk: Chunk) -> str:
    return chunk.body[: len(chunk.body) - len(chunk.body.lstrip(" "))]


def _comments(base: str, ours: str, theirs: str) -> str:
    """Lines of comments that both branches may have changed: ours, and what theirs added to them."""
    if ours == base:
        return theirs
    known = {*base.splitlines(), *ours.splitlines(), ""}
    added = [line for line in theirs.splitlines() if line not in known] if theirs != base else []
    return ours + "".join(f"{line}\n" for line in added)
