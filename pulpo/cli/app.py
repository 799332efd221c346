"""The class `CLI`: the command line, and every command as a method."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, overload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulpo.compile.flow import FlowDefinition
    from pulpo.diagnostics import Diagnostic
    from pulpo.graph.render import GraphFormat
    from pulpo.lock.update import LockResult
    from pulpo.manifest.model import Manifest, ModelSpec, OperationSpec
    from pulpo.run.record import RunRecord
    from pulpo.settings import Project


class CLI:
    """The command line of one project, for its own `main.py`: `CLI().run()`; and every command as a method.

    Methods return what they found or made, and raise `PulpoError` where they can't: `check` returns problems, and `run` a
    failed run, for those are answers.
    """

    def __init__(self, project: str | Path | None = None) -> None:
        """The project in the directory `project`, else the one of the file that makes the object."""
        from pulpo.declare.registry import caller

        self._directory = Path(project) if project is not None else Path(caller(1)[1].file).parent
        #: A `main.py` makes its directory a project: it has imported what it declares.
        self._is_main = project is None
        self._project: Project | None = None

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> int:
        """Run the command line on the project of the current directory or of `--project`; returns the exit code."""
        from pulpo.cli.main import run_command_line

        return run_command_line(sys.argv[1:] if arguments is None else arguments, None)

    @property
    def project(self) -> Project:
        """The project that the commands work on."""
        if self._project is None:
            from pulpo.settings import NoProjectError, Project, find_project

            try:
                self._project = find_project(self._directory, upwards=self._is_main)
            except NoProjectError:
                if not self._is_main:
                    raise
                self._project = Project(self._directory.resolve())
        return self._project

    def manifest(self) -> Manifest:
        """The manifest as the lock has it."""
        from pulpo.manifest.load import load

        return load(self.project.lock_path, file=self.project.lock_shown)[0]

    def lock(
        self, *, check: bool = False, force: bool = False, prefer: Literal["code", "manifest"] | None = None, prune: bool = False
    ) -> LockResult:
        """Write the lock from the code, unless `check`; what changed is in the result. See `pulpo.lock.update.lock`.

        Raises:
            PulpoError: Declarations have errors, both sides changed a setting, or writing would lose something.
        """
        from pulpo.lock.update import lock

        return lock(self.project, check=check, force=force, prefer=prefer, prune=prune)

    def check(self, *, code: bool = True) -> tuple[Diagnostic, ...]:
        """Everything that is wrong with the lock, sorted by place: errors, and warnings."""
        from pulpo.lock.check import check

        return check(self.project, code=code)

    def operations(self) -> Mapping[str, OperationSpec]:
        """The operations of the lock, by name."""
        return self.manifest().operations

    def models(self) -> Mapping[str, ModelSpec]:
        """The models of the lock, by name."""
        return self.manifest().models

    def flows(self) -> tuple[FlowDefinition, ...]:
        """All flows, compiled, sorted by name: the nodes of the hierarchy, the standalones, and `pipeline`."""
        from pulpo.compile.orchestration import OrchestrationCompiler

        return OrchestrationCompiler(self.manifest()).compile().flows

    def schema(self, directory: str | Path, *, check: bool = False) -> list[str]:
        """Write the JSON Schema of the lock into a directory, unless `check`; returns the files that differed."""
        from pulpo.manifest.schema import stale_schemas, write_schemas

        stale = stale_schemas(Path(directory))
        if not check:
            write_schemas(Path(directory))
        return stale

    def graph(self, format: GraphFormat = "mermaid", *, select: Sequence[str] = ()) -> str:  # noqa: A002 - the option's name
        """The data flow as text, of all operations or of those that the expressions select."""
        from pulpo.graph.render import render

        return render(self.manifest(), format, select)

    @overload
    def run(self) -> NoReturn: ...
    @overload
    def run(
        self,
        flow: str,
        *,
        parameters: Mapping[str, object] | None = None,
        inputs: Mapping[str, str] | None = None,
        resume: str | None = None,
        with_upstream: bool = False,
        select: Sequence[str] = (),
        from_: Sequence[str] = (),
        to: Sequence[str] = (),
        only: Sequence[str] = (),
    ) -> RunRecord: ...
    def run(
        self,
        flow: str | None = None,
        *,
        parameters: Mapping[str, object] | None = None,
        inputs: Mapping[str, str] | None = None,
        resume: str | None = None,
        with_upstream: bool = False,
        select: Sequence[str] = (),
        from_: Sequence[str] = (),
        to: Sequence[str] = (),
        only: Sequence[str] = (),
    ) -> RunRecord:
        """Run a flow or an operation with the inline engine; without one, run the command line and exit.

        `inputs` are texts, by model: `@FILE`, `run:ID` or `latest`.

        Returns:
            The run's record with its steps, whatever its state.

        Raises:
            PulpoError: It can't start as asked.
        """
        if flow is None:
            from pulpo.cli.main import run_command_line

            sys.exit(run_command_line(sys.argv[1:], self))
        from pulpo.cli.running import run_flow
        from pulpo.run.start import Part

        part = Part(tuple(select), tuple(from_), tuple(to), tuple(only), with_upstream=with_upstream)
        return run_flow(self.project, flow, part, parameters or {}, inputs or {}, resume)

    def runs(self, *, limit: int = 20) -> list[RunRecord]:
        """The latest runs, newest first."""
        from pulpo.cli.running import list_runs

        return list_runs(self.project, limit)

    def runs_show(self, run: str = "latest") -> RunRecord:
        """A run with its steps, by id, the beginning of one, or `latest`."""
        from pulpo.cli.running import show_run

        return show_run(self.project, run)
