"""`pulpo apply`: the world brought in line with the manifest."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pulpo.apply.change import NOTHING
from pulpo.cli.commands.plan import (
    VERSION,
    DestroyDataOption,
    OnlyOption,
    PlanFormat,
    PlanFormatOption,
    change_data,
    plan_data,
    plan_events,
    print_plan,
)
from pulpo.cli.commands.stack import YesOption
from pulpo.cli.options import INTERRUPTED
from pulpo.cli.service_progress import ServiceProgress
from pulpo.errors import UsageError

if TYPE_CHECKING:
    from pulpo.apply.ledger import Settled
    from pulpo.apply.services.status import ServiceEvent
    from pulpo.apply.whole import Applied, WholePlan
    from pulpo.cli.output import Output

_DONE: Final = {"create": "created", "update": "updated", "replace": "made anew", "delete": "deleted"}
_MARKS: Final = {"done": ("✓", "green"), "failed": ("✗", "red"), "untried": ("-", "yellow")}
_AGAIN: Final = "run it again: it goes on where this ended"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(apply)


def apply(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A plan that `pulpo plan -o FILE` kept.", show_default=False)] = None,
    only: OnlyOption = None,
    yes: YesOption = False,
    destroy_data: DestroyDataOption = False,
    prune_all: Annotated[
        bool, typer.Option("--prune-all", help="Delete all of a kind of which the lock has nothing any more.")
    ] = False,
    format: PlanFormatOption = PlanFormat.TEXT,  # noqa: A002 - the option's name
) -> None:
    """Bring the world in line with the lock.

    Shows what `plan` shows, asks, does it, and looks whether it holds. Interrupted or killed, it goes on when it is run again.
    What the project did not make is left alone.
    """
    if file is not None and (only or destroy_data):
        raise UsageError("a kept plan says itself what is meant: --only and --destroy-data are for `plan`")
    cli = context.obj.cli
    Conversation(context.obj.output, yes=yes, format=format).hold(
        lambda **told: cli.apply(file, only=only or (), destroy_data=destroy_data, prune_all=prune_all, **told)
    )


class Conversation:
    """What is shown and asked while a plan is carried out."""

    def __init__(
        self,
        output: Output,
        *,
        yes: bool,
        format: PlanFormat,  # noqa: A002 - the option
        question: str = "apply this?",
        nothing: str = NOTHING,
    ) -> None:
        """On an output; with `yes` nothing is asked. `nothing` is what is said where there is nothing to do."""
        self._output = output
        self._yes = yes
        self._format = format
        self._question = question
        self._nothing = nothing
        self._plan: WholePlan | None = None
        self._progress = ServiceProgress(output)
        self._showing = contextlib.ExitStack()
        self._wrong_services: list[Settled] = []
        self._declined = False
        self._lock = threading.Lock()

    def hold(self, act: Callable[..., Applied]) -> None:
        """Call `act` with whom it tells and asks, and end with the exit code that what came of it has."""
        from pulpo.apply.whole import Listener

        listener = Listener(self._settled, self._show, self._confirm, self._checking)
        try:
            with self._showing:
                self._showing.enter_context(self._progress)
                applied = act(confirm=self._first, listener=listener, on_event=self._service)
        except KeyboardInterrupt:
            self._output.talk(f"interrupted; {_AGAIN}")
            raise typer.Exit(INTERRUPTED) from None
        self._end(applied)
        if not applied.ok:
            raise typer.Exit(1)

    def _first(self, found: WholePlan) -> bool:
        self._show(found)
        self._declined = not self._confirm(found)
        return not self._declined

    def _show(self, found: WholePlan) -> None:
        self._plan = found
        self._leave_live()
        if self._format is PlanFormat.TEXT:
            print_plan(self._output, found)
            sys.stdout.flush()
        elif self._format is PlanFormat.JSONL:
            for event in plan_events(found):
                self._event(event)

    def _confirm(self, found: WholePlan) -> bool:
        del found  # was shown
        if self._yes:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("there is no terminal to ask on", hint="--yes says that it is meant")
        return typer.confirm(self._question, err=True)

    def _settled(self, settled: Settled) -> None:
        change = settled.change
        if self._format is PlanFormat.JSONL:
            self._event({"type": settled.outcome, "address": change.address, "action": change.action, "reason": settled.reason})
        elif not change.address.startswith("service:"):
            self._leave_live()
            self._say(settled)
        elif settled.outcome != "done":
            self._wrong_services.append(settled)

    def _leave_live(self) -> None:
        """Let what is shown of services stand as it is, for something else is printed now."""
        self._showing.close()
        self._showing.enter_context(self._progress)

    def _say(self, settled: Settled) -> None:
        if self._format is PlanFormat.TEXT:
            mark, style = _MARKS[settled.outcome]
            done = settled.outcome == "done"
            what = _DONE[settled.change.action.value] if done else f"{_WORDS[settled.outcome]}: {settled.reason}"
            self._output.talk(f"  {mark} {settled.change.address}  {what}", style)

    def _service(self, event: ServiceEvent) -> None:
        if self._format is PlanFormat.JSONL:
            self._event({"type": "service", **asdict(event)})
        elif self._format is PlanFormat.TEXT:
            self._progress(event)

    def _checking(self) -> None:
        if self._format is PlanFormat.JSONL:
            self._event({"type": "check"})

    def _event(self, event: dict[str, Any]) -> None:
        with self._lock:
            self._output.json_line(event)
            sys.stdout.flush()

    def _end(self, applied: Applied) -> None:
        if self._format is not PlanFormat.TEXT:
            data = applied_data(applied)
            if self._format is PlanFormat.JSON:
                self._output.json(data)
            else:
                if self._plan is None:
                    self._show(applied.plan)
                self._event({"type": "end", **{k: v for k, v in data.items() if k in ("ok", "outcomes", "problems")}})
            return
        if not applied.settled and applied.ok:
            print_plan(self._output, applied.plan, nothing=self._nothing)
            return
        if self._declined:
            self._output.talk("nothing was changed")
            return
        for one in self._wrong_services:
            self._say(one)
        for problem in applied.problems:
            self._output.talk(problem, "red")
        self._output.data(_summary(applied))
        if not applied.ok:
            self._output.talk(_AGAIN)


_WORDS: Final = {"failed": "failed", "untried": "not tried"}


def applied_data(applied: Applied) -> dict[str, Any]:
    """What came of a plan, as one JSON object: as the plan's, with the outcome of each change."""
    by_address = {one.change.address: one for one in applied.settled}
    changes = []
    for change in applied.plan.changes:
        settled = by_address.get(change.address)
        outcome = settled.outcome if settled else "untried"
        changes.append({**change_data(applied.plan, change), "outcome": outcome, "reason": settled.reason if settled else None})
    return {
        **plan_data(applied.plan),
        "version": VERSION,
        "ok": applied.ok,
        "changes": changes,
        "outcomes": _counts(applied),
        "problems": list(applied.problems),
    }


def _counts(applied: Applied) -> dict[str, int]:
    return {outcome: sum(one.outcome == outcome for one in applied.settled) for outcome in _MARKS}


def _summary(applied: Applied) -> str:
    """As in `Applied: 3 created, 1 updated, 0 deleted; 1 failed, 2 not tried`."""
    done = [one.change.action.value for one in applied.settled if one.outcome == "done"]
    told = [f"{done.count(a)} {word}" for a, word in _DONE.items() if a != "replace" or a in done]
    count = _counts(applied)
    wrong = [f"{count[outcome]} {word}" for outcome, word in _WORDS.items() if count[outcome]]
    return "; ".join([f"Applied: {', '.join(told)}", *([", ".join(wrong)] if wrong else [])])
