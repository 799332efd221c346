"""Work on things that need each other, at once as far as they don't: a thread each, which begins when its time has come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class NeedsFailedError(Exception):
    """It was not done, or was given up, for what it needs failed; the message is the name of that."""


@dataclass(slots=True)
class Together:
    """What has come of each while they are worked on."""

    #: Of each what it needs, by name, and whether that has to be done; else it only has to have begun.
    needs: Mapping[str, Mapping[str, bool]]
    failures: dict[str, BaseException] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _done: set[str] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _interrupted: bool = False

    def run(self, act: Callable[[str], None]) -> None:
        """Call `act` with each name when its needs are met; how each failed is in `failures` then.

        Returns when all have ended. One that needs what failed is not called.

        Raises:
            KeyboardInterrupt: When those that were going on have ended; they ask `given_up` for it.
        """
        started = 0
        try:
            for name in self.needs:
                threading.Thread(target=self._one, args=(act, name), daemon=True).start()
                started += 1
            self._wait_for(started)
        except KeyboardInterrupt:
            with self._changed:
                self._interrupted = True
                self._changed.notify_all()
            self._wait_for(started)
            raise

    def begun(self, name: str) -> None:
        """Say that one has begun; called by `act`."""
        with self._changed:
            self._begun.add(name)
            self._changed.notify_all()

    def given_up(self, name: str) -> bool:
        """Whether one is to end early: after an interrupt, or because what it needs failed."""
        return self._interrupted or self._failed_need(name) is not None

    def _wait_for(self, count: int) -> None:
        """Until so many have ended. Joining the threads would not do: a join that is interrupted takes its thread for ended."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._done) + len(self.failures) >= count)

    def _one(self, act: Callable[[str], None], name: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.given_up(name) or self._met(name))
        try:
            self._check(name)
            act(name)
        except BaseException as error:  # noqa: BLE001 - whoever called `run` hears of it
            self._end(name, self._reason(name, error))
        else:
            self._end(name, None)

    def _met(self, name: str) -> bool:
        return all(other in (self._done if fully else self._done | self._begun) for other, fully in self.needs[name].items())

    def _failed_need(self, name: str) -> str | None:
        return next((other for other in self.needs[name] if other in self.failures), None)

    def _check(self, name: str) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        if (failed := self._failed_need(name)) is not None:
            raise NeedsFailedError(failed)

    def _reason(self, name: str, error: BaseException) -> BaseException:
        failed = self._failed_need(name)
        if isinstance(error, KeyboardInterrupt) and not self._interrupted and failed is not None:
            return NeedsFailedError(failed)
        return error

    def _end(self, name: str, error: BaseException | None) -> None:
        with self._changed:
            if error is None:
                self._done.add(name)
            else:
                self.failures[name] = error
            self._changed.notify_all()
