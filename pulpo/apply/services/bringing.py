"""Bringing up a stack: each service when what it needs is there, Compose asked for those whose turn it is, and asked again.

Compose could wait by itself (`depends_on`), but then something that ends again and again holds everything up for ever, one
failure takes all others with it, and what is ready by a line of its log is not known. So order and waiting are done here, and
Compose does what it is best at: making containers what the file says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from pulpo.apply.change import Action
from pulpo.apply.services.comparing import replaced
from pulpo.apply.services.container_logs import last_lines
from pulpo.apply.services.containers import ASKED, CRASHES, why
from pulpo.apply.services.engine import DockerError
from pulpo.apply.services.refusals import passes, refusal
from pulpo.apply.services.removing import heal, stop
from pulpo.apply.services.status import ServiceError, ServiceEvent, State
from pulpo.errors import PulpoError, UsageError

if TYPE_CHECKING:
    from pulpo.apply.change import Plan
    from pulpo.apply.services.container_status import Observer, Seen
    from pulpo.apply.services.containers import Container
    from pulpo.apply.services.driver import OnEvent
    from pulpo.apply.services.stack import Stack
    from pulpo.compile.topology import ServiceDefinition

#: After a killed `up` the engine may still be finishing what that one asked for.
_ATTEMPTS: Final = 5
_EVERY: Final = 0.1
_AGAIN: Final = 0.5
_LINES: Final = 20
_STOPPED: Final = (State.STOPPED, State.ABSENT, State.STOPPING)


class Bringing:
    """One `up`: which services are still to be started, which are waited for, which are ready, which failed."""

    def __init__(self, stack: Stack, observer: Observer, names: Sequence[str], plan: Plan, seen: Seen, on_event: OnEvent) -> None:
        self._stack = stack
        self._observer = observer
        self._on_event = on_event
        changed = {change.address.partition(":")[2] for change in plan.changes}
        self._forced = replaced(plan)
        self._in_the_way = _in_the_way(stack, plan, seen)
        self._pending = list(names)
        self._unchanged = {name for name in names if name not in changed}
        self._waiting: dict[str, float] = {}
        self._ready: set[str] = set()
        self._failed: dict[str, PulpoError] = {}
        self._skipped: set[str] = set()
        self._mine: set[str] = set()
        self._tries = dict.fromkeys(names, 0)
        self._ends = {name: _restarts(seen.containers.get(name, ())) for name in self._unchanged}

    def run(self, *, wait: bool) -> None:
        """Bring them up.

        Raises:
            UsageError: The port of one is somebody else's, and no other one failed for itself.
            ServiceError: Some failed; those that don't need them are up.
        """
        for name in self._in_the_way:
            stop(self._stack, name)
        try:
            while self._pending or (wait and self._waiting):
                self._start(list(self._startable()))
                if self._waiting:
                    self._look()
                if self._pending or self._waiting:
                    time.sleep(_EVERY)
        except KeyboardInterrupt:
            for name in self._mine & self._waiting.keys():
                stop(self._stack, name)
            raise
        if self._failed:
            raise self._error()

    def _startable(self) -> Iterator[str]:
        for name in list(self._pending):
            needs = [need for need in self._stack.definitions[name].needs if need.service in self._tries]
            if failed := next((need.service for need in needs if need.service in self._failed.keys() | self._skipped), None):
                self._pending.remove(name)
                self._skip(name, failed)
            elif all(need.service in (self._ready if need.ready else self._ready | self._waiting.keys()) for need in needs):
                yield name

    def _start(self, names: list[str]) -> None:
        for name in names:
            self._pending.remove(name)
            self._waiting[name] = time.monotonic()
        changed = [name for name in names if name not in self._unchanged]
        self._mine |= set(changed)
        for name in changed:
            self._ends.setdefault(name, 0)
            self._tell(name, "starting")
        for group, options in (
            ([n for n in changed if n not in self._forced], ()),
            ([n for n in changed if n in self._forced], ("--force-recreate",)),
        ):
            if group:
                self._make(group, options)

    def _make(self, names: list[str], options: Sequence[str]) -> None:
        try:
            make(self._stack, names, options, on_pull=lambda name: self._tell(name, "pulling"))
        except DockerError as error:
            if len(names) > 1:
                for name in names:  # which of them it was is found out by asking for each
                    self._make([name], options)
                return
            one = next(iter(self._observer.see().containers.get(names[0], ())), None)
            self._fail(names[0], refusal(self._stack, names[0], error, why(one, State.FAILED) if one and one.error else None))

    def _look(self) -> None:
        seen = self._observer.see()
        for name in list(self._waiting):
            state, several = seen.state(name), seen.containers.get(name, ())
            definition = self._stack.definitions[name]
            if state is State.RUNNING or (state is State.EXITED and definition.probe is None):
                self._done(name)
            elif state in _STOPPED or (state is State.FAILED and _was_killed(several)):
                self._again(name, several)
            elif problem := _problem(definition, state, several, since=self._waiting[name], ends=self._ends[name]):
                self._give_up(name, several, problem)

    def _again(self, name: str, several: Sequence[Container]) -> None:
        """Something stopped it: another command, or the engine, which finishes what a killed command asked for."""
        self._tries[name] += 1
        if self._tries[name] >= _ATTEMPTS:
            self._give_up(name, several, f"{name} was stopped while it started")
            return
        self._mine.add(name)
        self._ends[name] = 0
        self._make([name], ())

    def _done(self, name: str) -> None:
        self._tell(name, "unchanged" if name in self._unchanged and name not in self._mine else "running")
        del self._waiting[name]
        self._ready.add(name)

    def _give_up(self, name: str, several: Sequence[Container], problem: str) -> None:
        lines = last_lines(self._stack.engine, several[0], _LINES) if several else []
        if name in self._mine:
            stop(self._stack, name)
        self._fail(name, ServiceError("\n".join([problem, *(f"  {line}" for line in lines)]), [name]))

    def _skip(self, name: str, failed: str) -> None:
        self._tell(name, "skipped", f"it needs {failed}, which failed")
        self._skipped.add(name)

    def _fail(self, name: str, error: PulpoError) -> None:
        self._tell(name, "failed", str(error).partition("\n")[0])
        self._waiting.pop(name, None)
        self._failed[name] = error

    def _error(self) -> PulpoError:
        """What went wrong: as it is where it is one thing that could not be as asked, else one error for all."""
        failed = sorted(self._failed.items())
        if len(failed) == 1 and isinstance(failed[0][1], UsageError):
            return failed[0][1]
        told = [f"{error}\n  {error.hint}" if isinstance(error, UsageError) else str(error) for _, error in failed]
        return ServiceError("\n".join(told), [name for name, _ in failed])

    def _tell(self, name: str, what: str, detail: str | None = None) -> None:
        began = self._waiting.get(name)
        self._on_event(ServiceEvent(name, what, 0.0 if began is None else time.monotonic() - began, detail))


def make(stack: Stack, names: Sequence[str], options: Sequence[str], *, on_pull: Callable[[str], None]) -> None:
    """Have Compose make and start the containers of services, and ask again where that may be answered otherwise.

    Raises:
        DockerError: It failed.
    """
    for attempt in range(_ATTEMPTS):
        with stack.compose.turn():
            heal(stack)  # without `--no-deps`: Compose's hash would be another one
            try:
                with stack.compose.lines("up", "--detach", "--no-build", *options, *names) as lines:
                    for line in lines:
                        if line.endswith(" Pulling") and (name := line.split(maxsplit=1)[0]) in stack.definitions:
                            on_pull(name)
            except DockerError as error:
                if attempt + 1 == _ATTEMPTS or not passes(error):
                    raise
            else:
                return
        time.sleep(_AGAIN * (attempt + 1))


def _problem(definition: ServiceDefinition, state: State, several: Sequence[Container], *, since: float, ends: int) -> str | None:
    """Why a service that is waited for since a moment won't be ready; `ends` is how often it had ended by then."""
    name, one = definition.name, several[0]
    if state in (State.FAILED, State.EXITED):
        return one.error or f"{name} ended before it was ready, with exit code: {one.exit_code}"
    if _restarts(several) - ends >= CRASHES and one.status == "restarting":  # between two of its runs it has the last one's code
        return f"{name} ended again and again before it was ready, with exit code: {one.exit_code}"
    if time.monotonic() - since > definition.ready_timeout:
        return f"{name} is not ready after {definition.ready_timeout:g} s"
    return None


def _in_the_way(stack: Stack, plan: Plan, seen: Seen) -> list[str]:
    """The services that are made anew and have a port of this machine that another one is to have, which may come first."""
    coming = {change.address.partition(":")[2]: change.action for change in plan.changes}
    wanted = {name: {port.outer for port in stack.definitions[name].ports} for name in coming if name in stack.definitions}
    held = {
        name: {outer for one in seen.containers.get(name, ()) for _, outer, _ in one.ports}
        for name, action in coming.items()
        if action is Action.REPLACE
    }
    return sorted(
        name for name, ports in held.items() if any(ports & others for other, others in wanted.items() if other != name)
    )


def _was_killed(several: Sequence[Container]) -> bool:
    return any(one.exit_code in ASKED and not one.error and not one.out_of_memory for one in several)


def _restarts(several: Sequence[Container]) -> int:
    return max((one.restarts for one in several), default=0)
