"""The Typer application: global options, and the commands of `pulpo.cli.commands`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pulpo.cli import completion
from pulpo.cli.commands import (
    api,
    apply,
    check,
    db,
    destroy,
    doctor,
    explain,
    graph,
    init,
    lock,
    merge,
    plan,
    prefect,
    run,
    runs,
    schema,
    show,
    stack,
    ui,
)
from pulpo.cli.commands import compile as compile_command
from pulpo.cli.output import Output

if TYPE_CHECKING:
    from pulpo.apply.services.mode import ChosenMode
    from pulpo.cli.app import CLI


class ModeName(StrEnum):
    """How services run."""

    LOCAL = "local"
    DOCKER = "docker"


@dataclass(slots=True)
class State:
    """What the commands share: the project's command line object, and where they print."""

    cli_or_none: CLI | None
    output: Output = field(default_factory=Output)
    environment: str | None = None
    mode: str | None = None
    told_mode: ChosenMode | None = None

    @property
    def cli(self) -> CLI:
        """The command line object; of the current directory where no `main.py` made one."""
        if self.cli_or_none is None:
            from pulpo.cli.app import CLI
            from pulpo.settings import find_project

            self.cli_or_none = CLI(find_project().root)
        if self.environment is not None:
            self.cli_or_none.environment = self.environment
        if self.mode is not None:
            self.cli_or_none.mode = self.mode
        self.cli_or_none.on_mode = self._tell_mode
        self.cli_or_none.on_warning = lambda text: self.output.talk(f"warning: {text}", "yellow")
        return self.cli_or_none

    def _tell_mode(self, chosen: ChosenMode) -> None:
        """Once, however often a command asks how services run."""
        if chosen != self.told_mode:
            self.told_mode = chosen
            self.output.talk(f"mode: {chosen}")

    @property
    def shown_from(self) -> Path:
        """What the files of places are relative to: of the project, where there is one."""
        return self.cli_or_none.project.shown_from if self.cli_or_none else Path.cwd()


def build() -> Any:
    """The command `pulpo`, ready to parse."""
    app = typer.Typer(
        name="pulpo",
        help="Typed functions become a manifest that people review and edit; the manifest becomes the pipeline.",
        no_args_is_help=True,
        rich_markup_mode=None,  # help in plain text: Rich would take longer to import than everything else
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for module in (
        init,
        lock,
        check,
        compile_command,
        explain,
        graph,
        show,
        run,
        runs,
        plan,
        apply,
        destroy,
        stack,
        db,
        prefect,
        api,
        ui,
        schema,
        merge,
        doctor,
    ):
        module.register(app)
    return typer.main.get_command(app)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"pulpo {version('pulpocore')}")
        raise typer.Exit


def _options(
    context: typer.Context,
    project: Annotated[
        Path | None, typer.Option(help="The project's directory; else the nearest at or above this one.", show_default=False)
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completion.environments,
            envvar="PULPO_ENV",
            help="The environment whose overlay is merged in; not by `lock`.",
            show_default=False,
        ),
    ] = None,
    mode: Annotated[
        ModeName | None,
        typer.Option(
            help="How services run: as processes of this machine, or as containers (also: PULPO_MODE).", show_default=False
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only data, problems and errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours (also: NO_COLOR=1).")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    state: Any = context.obj
    state.output = Output(quiet=quiet, verbose=verbose, no_color=no_color, base=lambda: state.shown_from)
    state.environment = env
    state.mode = mode
    if project is not None:
        from pulpo.cli.app import CLI
        from pulpo.settings import find_project

        state.cli_or_none = CLI(find_project(project).root)
    del version  # its callback has printed it
