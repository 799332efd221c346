"""Bringing up a stack: each service when what it needs is there, Compose asked for those whose turn it is, and asked again.

Compose could wait by itself (`depends_on`), but then something that ends again and again holds everything up for ever, one
failure takes all others with it, and what is ready by a line of its log is not known. So order and waiting are done here, and
Compose does what it is best at: making containers what the file says.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from pulpo.apply.services.containers import ASKED, CRASHES, why
from pulpo.apply.services.engine import DockerError
from pulpo.apply.services.refusals import passes, refusal
from pulpo.apply.services.stack import replaced
from pulpo.apply.services.status import ServiceError, ServiceEvent, State

if TYPE_CHECKING:
    from pulpo.apply.change import Plan
    from pulpo.apply.services.driver import OnEvent
    from pulpo.apply.services.stack import Seen, Stack
    from pulpo.compile.topology import ServiceDefinition

#: After a killed `up` the engine may still be finishing what that one asked for.
_ATTEMPTS: Final = 5
_EVERY: Final = 0.1
_AGAIN: Final = 0.5
_LINES: Final = 20


class Bringing:
    """One `up`: which services are still to be started, which are waited for, which are ready, which failed."""

    def __init__(self, stack: Stack, names: Sequence[str], plan: Plan, seen: Seen, on_event: OnEvent) -> None:
        self._stack = stack
        self._on_event = on_event
        changed = {change.address.partition(":")[2] for change in plan.changes}
        self._forced = replaced(plan)
        self._pending = list(names)
        self._unchanged = {name for name in names if name not in changed}
        self._waiting: dict[str, float] = {}
        self._ready: set[str] = set()
        self._failed: dict[str, str] = {}
        self._mine: set[str] = set()
        self._tries = dict.fromkeys(names, 0)
        self._ends = {name: max((one.restarts for one in seen.containers.get(name, ())), default=0) for name in self._unchanged}

    def run(self, *, wait: bool) -> None:
        """Bring them up.

        Raises:
            ServiceError: Some failed; those that don't need them are up.
        """
        try:
            while self._pending or (wait and self._waiting):
                self._start(list(self._startable()))
                if self._waiting:
                    self._look()
                if self._pending or self._waiting:
                    time.sleep(_EVERY)
        except KeyboardInterrupt:
            self._stop([name for name in self._mine if name in self._waiting])
            raise
        if self._failed:
            raise ServiceError("\n".join(self._failed[name] for name in sorted(self._failed)), sorted(self._failed))

    def _startable(self) -> Iterator[str]:
        for name in list(self._pending):
            needs = [need for need in self._stack.definitions[name].needs if need.service in self._tries]
            if failed := next((need.service for need in needs if need.service in self._failed), None):
                self._pending.remove(name)
                self._fail(name, f"{name} was not started: it needs {failed}")
            elif all(need.service in (self._ready if need.ready else self._ready | self._waiting.keys()) for need in needs):
                yield name

    def _start(self, names: list[str]) -> None:
        for name in names:
            self._pending.remove(name)
            self._waiting[name] = time.monotonic()
        changed = [name for name in names if name not in self._unchanged]
        if not changed:
            return
        self._mine |= set(changed)
        for name in changed:
            self._ends.setdefault(name, 0)
            self._tell(name, "starting")
        for group, options in (
            ([n for n in changed if n not in self._forced], ()),
            ([n for n in changed if n in self._forced], ("--force-recreate",)),
        ):
            if group:
                self._bring(group, options)

    def _bring(self, names: list[str], options: Sequence[str]) -> None:
        try:
            self._call(names, options)
        except DockerError as error:
            if len(names) == 1:
                self._refused(names[0], error)
                return
            for name in names:  # which of them it was is found out by asking for each
                self._bring([name], options)

    def _call(self, names: list[str], options: Sequence[str]) -> None:
        for attempt in range(_ATTEMPTS):
            with self._stack.turn():
                heal(self._stack)  # without `--no-deps`: Compose's hash would be another one
                try:
                    with self._stack.lines("up", "--detach", "--no-build", *options, *names) as lines:
                        for line in lines:
                            self._progress(line)
                except DockerError as error:
                    if attempt + 1 == _ATTEMPTS or not passes(error):
                        raise
                else:
                    return
            time.sleep(_AGAIN * (attempt + 1))

    def _progress(self, line: str) -> None:
        if line.endswith(" Pulling") and (name := line.split(maxsplit=1)[0]) in self._tries:
            self._tell(name, "pulling")

    def _look(self) -> None:
        seen = self._stack.see()
        for name in list(self._waiting):
            state = seen.state(name)
            definition = self._stack.definitions[name]
            if state is State.RUNNING or (state is State.EXITED and definition.probe is None):
                self._done(name)
            elif state in (State.STOPPED, State.ABSENT, State.STOPPING) or (
                state is State.FAILED and self._was_killed(seen, name)
            ):
                self._again(name, seen)
            elif problem := self._problem(seen, name, state, definition):
                self._give_up(name, seen, problem)

    def _problem(self, seen: Seen, name: str, state: State, definition: ServiceDefinition) -> str | None:
        one = seen.containers[name][0]
        if state in (State.FAILED, State.EXITED):
            return one.error or f"{name} ended before it was ready, with exit code: {one.exit_code}"
        if max(other.restarts for other in seen.containers[name]) - self._ends[name] >= CRASHES:
            return f"{name} ended again and again before it was ready, with exit code: {one.exit_code}"
        if time.monotonic() - self._waiting[name] > definition.ready_timeout:
            return f"{name} is not ready after {definition.ready_timeout:g} s"
        return None

    def _was_killed(self, seen: Seen, name: str) -> bool:
        return any(one.exit_code in ASKED and not one.error and not one.out_of_memory for one in seen.containers[name])

    def _again(self, name: str, seen: Seen) -> None:
        """Something stopped it: another command, or the engine, which finishes what a killed command asked for."""
        self._tries[name] += 1
        if self._tries[name] >= _ATTEMPTS:
            self._give_up(name, seen, f"{name} was stopped while it started")
            return
        began = self._waiting[name]
        self._mine.add(name)
        self._ends[name] = 0
        self._bring([name], ())
        if name in self._waiting:
            self._waiting[name] = began

    def _done(self, name: str) -> None:
        self._tell(name, "unchanged" if name in self._unchanged and name not in self._mine else "running")
        del self._waiting[name]
        self._ready.add(name)

    def _give_up(self, name: str, seen: Seen, problem: str) -> None:
        several = seen.containers.get(name, ())
        lines = self._stack.last_lines(several[0], _LINES) if several else []
        if name in self._mine:
            self._stop([name])
        self._fail(name, "\n".join([problem, *(f"  {line}" for line in lines)]))

    def _refused(self, name: str, error: DockerError) -> None:
        seen = self._stack.see()
        one = next(iter(seen.containers.get(name, ())), None)
        self._fail(name, refusal(self._stack, name, error, why(one, State.FAILED) if one and one.error else None))

    def _fail(self, name: str, message: str) -> None:
        self._tell(name, "failed", message.partition("\n")[0])
        self._waiting.pop(name, None)
        self._failed[name] = message

    def _stop(self, names: Sequence[str]) -> None:
        for name in names:
            stop(self._stack, name)

    def _tell(self, name: str, what: str, detail: str | None = None) -> None:
        began = self._waiting.get(name)
        self._on_event(ServiceEvent(name, what, 0.0 if began is None else time.monotonic() - began, detail))


def heal(stack: Stack) -> None:
    """Put away what a killed `up` left in the middle of replacing a container.

    Where the one that it was to replace is gone, it takes that one's name: what is in its volumes is not lost.
    """
    seen = stack.see()
    names = {one.name for several in seen.containers.values() for one in several}
    for left in seen.leftovers:
        name = left.name.partition("_")[2]
        try:
            if name in names:
                stack.engine.run("container", "rm", "--force", left.id)
            else:
                stack.engine.run("container", "rename", left.id, name)
                names.add(name)
        except DockerError as error:
            if not passes(error):
                raise


def stop(stack: Stack, name: str) -> None:
    """Stop the containers of a service, each with its own grace."""
    ids = [one.id for one in stack.see().containers.get(name, ()) if one.is_alive]
    if ids:
        with stack.engine.client() as client:
            client.container.stop(ids)
