"""What a run tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

#: run: the run began, or ended (`message` is its state). outside: records were loaded from an earlier run or a file.
#: started, retried, progress (mapped steps), finished (`message` is the state): of one step.
Kind = Literal["run", "outside", "started", "retried", "progress", "finished"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run; events come in the order in which things happened, on the event loop's thread."""

    kind: Kind
    #: The run that it happened in.
    run: str
    #: The operation that it is about; None for the run itself.
    operation: str | None = None
    #: State for `run` and `finished`, the error for `retried`, a sentence for `outside`.
    message: str = ""
    #: Calls of a mapped step that are done, and how many there are.
    done: int = 0
    total: int = 0
    #: Which try begins, for `retried`.
    attempt: int = 0
    #: For `outside`: the model, and the run that its records are from (None for a file) with its age in seconds.
    model: str | None = None
    source: str | None = None
    age: float | None = None


Listener = Callable[[Event], None]
