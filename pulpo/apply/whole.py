"""One plan over all targets: services, then the database, then Prefect; made, narrowed down, carried out and verified."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pulpo.apply.change import NOTHING, SIGNS, Action, Change, Note, Plan
from pulpo.apply.ledger import Ledger, Settled
from pulpo.errors import PulpoError, UsageError
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from pulpo.apply.part import Part, Target

DRIFT: Final = "changed behind the manifest's back"
#: The target whose deletions go before all else: what left may have the ports that others are to have.
FIRST: Final = "services"
PRUNE: Final = "the manifest wants nothing of this kind any more; --prune-all says that this is meant"
_NOT_REACHED: Final = "it was not reached"


@dataclass(frozen=True)
class WholePlan:
    """What all targets have to do, in their order."""

    parts: tuple[Part, ...] = ()
    #: The patterns that narrowed it down; None where nothing did.
    only: tuple[str, ...] | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to do, as far as it is known."""
        return any(part.plan for part in self.parts) or any(part.waits_for for part in self.parts)

    def __str__(self) -> str:
        """As `lines`."""
        return "\n".join(line for _, line in self.lines())

    @property
    def changes(self) -> tuple[Change, ...]:
        """All of them, as they are made: by target, and then what is deleted, in reverse; of services that is first."""
        making = [change for part in self.parts for change in _begun(part)]
        return (*making, *(change for part in reversed(self.parts) for change in _ended(part)))

    @property
    def notes(self) -> tuple[Note, ...]:
        """Those of all parts."""
        return tuple(note for part in self.parts for note in part.plan.notes)

    @cached_property
    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """Of each change, sorted, the addresses of those changes that are made before it."""
        there = {change.address for change in self.changes}
        return {
            change.address: tuple(sorted(there.intersection(part.needs.get(change.address, ())) - {change.address}))
            for part in self.parts
            for change in part.plan.changes
        }

    @property
    def destructive(self) -> tuple[Change, ...]:
        """The changes that lose what can't be made again."""
        return tuple(change for change in self.changes if change.destructive)

    @property
    def emptying(self) -> tuple[Change, ...]:
        """The changes that delete where the manifest wants nothing at all."""
        return tuple(change for part in self.parts if not part.wanted for change in _deleting(part))

    @property
    def counts(self) -> dict[str, int]:
        """How many changes there are of each action."""
        found = Counter(change.action for change in self.changes)
        return {action.value: found[action] for action in Action}

    @property
    def summary(self) -> str:
        """The last line: as `Plan.summary`, or that there is nothing to do."""
        return Plan(self.changes).summary if self else NOTHING

    def lines(self) -> Iterator[tuple[Action | None, str]]:
        """The plan as text, by target, what was changed behind the manifest's back by itself; with the action of each line."""
        for part in self.parts:
            meant = [change for change in part.plan.changes if not change.drift]
            if meant:
                yield None, part.target
            for change in meant:
                yield from _lines(change)
        drifted = [change for part in self.parts for change in part.plan.changes if change.drift]
        if drifted:
            yield None, DRIFT
        for change in drifted:
            yield from _lines(change)
        for note in self.notes:
            yield None, f"  {note}"
        yield None, self.summary

    def select(self, patterns: Sequence[str]) -> WholePlan:
        """The changes whose addresses match one of the patterns, and all that they need, which is noted.

        Raises:
            UsageError: A pattern matches nothing that is wanted or the project's.
        """
        known = sorted({a for part in self.parts for a in part.fingerprints} | {change.address for change in self.changes})
        for pattern in patterns:
            if not any(fnmatchcase(address, pattern) for address in known):
                hint = did_you_mean(pattern, known) or "`pulpo plan --format json` lists the addresses; * stands for anything"
                raise UsageError(f"nothing has this address: {pattern}", hint=hint)
        chosen = {c.address for c in self.changes if _matches(c.address, patterns)}
        asked = frozenset(chosen)
        chosen |= {
            part.waits_for for part in self.parts if part.waits_for and any(_matches(a, patterns) for a in part.fingerprints)
        }
        waiting = list(chosen)
        while waiting:
            new = [need for need in self.needs.get(waiting.pop(), ()) if need not in chosen]
            chosen.update(new)
            waiting += new
        parts = (_narrowed(part, frozenset(chosen), asked, patterns) for part in self.parts)
        return WholePlan(tuple(parts), tuple(patterns))


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a plan."""

    plan: WholePlan
    #: In the order in which they were settled.
    settled: tuple[Settled, ...] = ()
    #: What is not as it was to be although nothing failed, or why a whole target could not be looked at; for people.
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the world is as the plan wanted it."""
        return not self.problems and all(one.outcome == "done" for one in self.settled)


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how things go, and asked; all of it may be called from several threads, one at a time."""

    #: Of each change once.
    on_settled: Callable[[Settled], None] = lambda _: None
    #: Of a part that could be planned only after others were done, where it is not what the plan said.
    on_part: Callable[[WholePlan], None] = lambda _: None
    #: Asked where such a part is destructive.
    confirm: Callable[[WholePlan], bool] = lambda _: True
    #: When everything was done that could be, and is looked at once more.
    on_check: Callable[[], None] = lambda: None


def make_plan(targets: Sequence[Target], only: Sequence[str] | None = None) -> WholePlan:
    """Look at all targets; nothing is changed.

    Raises:
        PulpoError: One can't be looked at, what is wanted can't be, or a pattern of `only` matches nothing.
    """
    parts: list[Part] = []
    for target in targets:
        parts.append(target.plan(tuple(parts)))
    plan = WholePlan(tuple(parts))
    return plan if only is None else plan.select(only)


def carry_out(targets: Sequence[Target], plan: WholePlan, listener: Listener | None = None, *, may_empty: bool = True) -> Applied:
    """Make the changes of a plan: one that fails keeps back those that need it, and no others.

    Parts that wait for a service are planned again when it runs; without `may_empty` nothing is done about one that then would
    delete all that there is, for the manifest wants nothing there. At the end everything that was changed is looked at once more.
    Interrupted or killed, it is finished by planning and carrying out anew: nothing is remembered but in the world.
    """
    work = _Work(targets, plan, listener or Listener(), may_empty)
    work.make()
    work.delete()
    problems = [*work.problems, *work.check()]
    return Applied(work.plan, work.ledger.settled, tuple(problems))


@dataclass
class _Work:
    """The carrying out of a plan, which grows by the parts that are planned on the way."""

    targets: Sequence[Target]
    plan: WholePlan
    listener: Listener
    may_empty: bool
    problems: list[str] = field(default_factory=list)
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.needs |= self.plan.needs
        self.ledger = Ledger(self.needs, self.listener.on_settled)

    def make(self) -> None:
        """All that is not deleted; what services left goes first, for their ports may be wanted."""
        for index, target in enumerate(self.targets):
            part = self._looked_at(index, target)
            self._execute(target, _begun(part))

    def delete(self) -> None:
        """What is deleted, in reverse."""
        for target, part in reversed(list(zip(self.targets, self.plan.parts, strict=True))):
            self._execute(target, _ended(part))

    def check(self) -> list[str]:
        """What is not as it was to be, of what was done."""
        tried = {one.change.address for one in self.ledger.settled if one.outcome != "untried"}
        if self.plan and not tried:
            return []
        self.listener.on_check()
        done = {one.change.address for one in self.ledger.settled if one.outcome == "done"}
        pairs = zip(self.targets, self.plan.parts, strict=True)
        return [problem for target, part in pairs for problem in self._checked(target, part, tried, done)]

    def _checked(self, target: Target, part: Part, tried: set[str], done: set[str]) -> list[str]:
        """What a target has to say; services that were not touched can have failed by themselves."""
        planned = {change.address for change in part.plan.changes}
        if target.name == FIRST:
            addresses = planned & tried if self.plan.only is not None else part.fingerprints.keys() - (planned - tried)
        else:
            addresses = planned & done
        try:
            return [f"{target.name}: {problem}" for problem in target.check(addresses)] if addresses else []
        except PulpoError as error:
            return [f"{target.name}: {error.message}"]

    def _looked_at(self, index: int, target: Target) -> Part:
        part = self.plan.parts[index]
        if part.waits_for is None or self._is_beyond(part):
            return part
        try:
            found = self._planned(target)
        except PulpoError as error:
            self.problems.append(f"{target.name}: {error.message}")
            self.ledger.close(part.plan.changes, error.message)
            return replace(part, plan=Plan())
        if found.waits_for is not None:
            self.problems.append(f"{target.name}: not compared, for {found.waits_for} is not ready")
            self.ledger.close(part.plan.changes, f"it needs {found.waits_for}")
            return part
        parts = list(self.plan.parts)
        parts[index] = found
        shown = WholePlan((found,), self.plan.only)
        if not set(found.plan.changes) <= set(part.plan.changes):  # others may have made some meanwhile, as workers do
            self.listener.on_part(shown)
            self._ask(shown)
        self.plan = WholePlan(tuple(parts), self.plan.only)
        self.needs |= self.plan.needs
        return found

    def _ask(self, shown: WholePlan) -> None:
        """Settle what is not to be done of a part that nobody has seen before."""
        if shown.emptying and not self.may_empty:
            self.ledger.close(shown.changes, PRUNE)
        elif (shown.destructive or shown.emptying) and not self.listener.confirm(shown):
            self.ledger.close(shown.changes, "it was not wanted")

    def _is_beyond(self, part: Part) -> bool:
        """Whether the service that a part waits for did not come up; nothing of the part is tried then."""
        if part.waits_for is None or self.ledger.outcome(part.waits_for) == "done":
            return False
        if self.ledger.outcome(part.waits_for) is None:  # somebody started it, and it is on its way
            self.targets[0].check([part.waits_for])
            return False
        self.ledger.close(part.plan.changes, f"it needs {part.waits_for}")
        if not part.plan:
            self.problems.append(f"{part.target}: not compared, for {part.waits_for} does not run")
        return True

    def _planned(self, target: Target) -> Part:
        part = target.plan()
        return part if self.plan.only is None else _narrowed_alone(part, self.plan.only)

    def _execute(self, target: Target, changes: Sequence[Change]) -> None:
        open_ = [change for change in changes if self.ledger.outcome(change.address) is None]
        if not open_:
            return
        reason = _NOT_REACHED
        try:
            target.execute(open_, self.ledger)
        except PulpoError as error:
            self.problems.append(f"{target.name}: {error.message}")
            reason = error.message.partition("\n")[0]
        self.ledger.close(open_, reason)


def _begun(part: Part) -> list[Change]:
    """What is done while things are made."""
    return [change for change in part.plan.changes if change.action is not Action.DELETE or part.target == FIRST]


def _ended(part: Part) -> list[Change]:
    """What is done when all is made."""
    return [] if part.target == FIRST else _deleting(part)


def _deleting(part: Part) -> list[Change]:
    return [change for change in part.plan.changes if change.action is Action.DELETE]


def _matches(address: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(address, pattern) for pattern in patterns)


def _narrowed(part: Part, chosen: frozenset[str], asked: frozenset[str], patterns: Sequence[str]) -> Part:
    changes = tuple(change for change in part.plan.changes if change.address in chosen)
    along = [Note(c.address, "is needed, and goes along") for c in changes if c.address not in asked]
    notes = [note for note in part.plan.notes if note.address in chosen or _matches(note.address, patterns)]
    meant = any(_matches(address, patterns) for address in part.fingerprints)
    waits = part.waits_for if meant or changes else None
    return replace(part, plan=Plan(changes, (*notes, *along)), waits_for=waits)


def _narrowed_alone(part: Part, patterns: Sequence[str]) -> Part:
    """A part that was planned later, as `select` would narrow it down."""
    alone = WholePlan((part,))
    chosen = {change.address for change in part.plan.changes if _matches(change.address, patterns)}
    for change in reversed(alone.changes):
        if change.address in chosen:
            chosen.update(alone.needs.get(change.address, ()))
    return _narrowed(part, frozenset(chosen), frozenset(chosen), patterns)


def _lines(change: Change) -> Iterator[tuple[Action | None, str]]:
    mark = "  (destructive)" if change.destructive else ""
    yield change.action, f"  {SIGNS[change.action]} {change.address}  {change.cause}{mark}"
    for one in change.fields:
        yield None, f"      {one}"
    if change.effect:
        yield None, f"      {change.effect}"
