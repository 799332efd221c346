"""Running the command line: options that stand anywhere, and every error as a message and an exit code."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulpo.errors import DiagnosticsError, PulpoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulpo.cli.app import CLI
    from pulpo.cli.output import Output

_GLOBAL_FLAGS = ("-q", "--quiet", "-v", "--verbose", "--no-color")
_GLOBAL_VALUES = ("--project", "--env", "--mode")


def run_command_line(arguments: Sequence[str], cli: CLI | None) -> int:  # noqa: PLR0911 - one for each kind of end
    """Run one command; returns its exit code: 0 fine, 1 problems, 2 usage or could not run, 130 on Ctrl-C."""
    import typer

    from pulpo.cli.options import INTERRUPTED
    from pulpo.cli.typer_app import State, build

    state = State(cli)
    _open_streams()
    gc.disable()  # a command ends before garbage matters, and collecting takes longer than reading a large lock; `run` enables it
    try:
        result = build().main(hoisted(arguments), prog_name="pulpo", standalone_mode=False, obj=state)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except _click_exception() as error:
        error.show()
        return 2
    except DiagnosticsError as error:
        state.output.diagnostics(error.diagnostics)
        return error.exit_code
    except PulpoError as error:
        state.output.error(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        state.output.talk("interrupted")
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as end:
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader, such as `head`, has seen enough
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback unless it is asked for
        _bug(error, state.output)
        return 2


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The arguments with the global options in front, so that they can stand after a command, too."""
    front: list[str] = []
    rest: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            return [*front, *rest, argument, *waiting]
        if argument in _GLOBAL_FLAGS or argument.startswith(tuple(f"{v}=" for v in _GLOBAL_VALUES)):
            front.append(argument)
        elif argument in _GLOBAL_VALUES:
            front += [argument, *([value] if (value := next(waiting, None)) is not None else [])]
        else:
            rest.append(argument)
    return [*front, *rest]


def _open_streams() -> None:
    """Let output never fail for what it is: closed streams go nowhere, and what an encoding lacks is escaped.

    A closed stream's descriptor would be taken by the next file that is opened, such as the store.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115 - for as long as we live
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _click_exception() -> Any:
    """Click's own exception for what a user did wrong: of the Click that Typer brings, which it may carry in itself."""
    import typer

    return next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def _bug(error: Exception, output: Output) -> None:
    if output.verbose:
        traceback.print_exception(error)
    output.error(PulpoError(f"a bug in Pulpo: {type(error).__name__}: {error}", hint="please report it with the output of `-v`"))
