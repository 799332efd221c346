"""The class `CLI`: the command line, and every command as a method."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, overload

from pulpo.cli.applying import Applying

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pulpo.apply.change import Change
    from pulpo.cli.deploying import DeployResult, FlowRunResult
    from pulpo.cli.explaining import Explanation
    from pulpo.cli.finding import Finding
    from pulpo.cli.initialising import InitResult
    from pulpo.codes.pages import Page
    from pulpo.compile.flow import FlowDefinition
    from pulpo.diagnostics import Diagnostic
    from pulpo.graph.render import GraphFormat
    from pulpo.lock.explain import Ownership
    from pulpo.lock.git_merge import Merge
    from pulpo.lock.update import LockResult
    from pulpo.manifest.model import EnvironmentSpec, ModelSpec, OperationSpec
    from pulpo.manifest.service import ServiceSpec
    from pulpo.run.logs import LoggedLine
    from pulpo.run.prefect.deployed import Line
    from pulpo.run.record import RunRecord
    from pulpo.run.start import Parameters


class CLI(Applying):
    """The command line of one project, for its own `main.py`: `CLI().run()`; and every command as a method.

    Methods return what they found or made, and raise `PulpoError` where they can't: `check` returns problems, and `run` a
    failed run, for those are answers.
    """

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> int:
        """Run the command line on the project of the current directory or of `--project`; returns the exit code."""
        from pulpo.cli.main import run_command_line

        return run_command_line(sys.argv[1:] if arguments is None else arguments, None)

    @staticmethod
    def init(directory: str | Path = ".", *, template: Literal["minimal", "jobs", "flights"] = "minimal") -> InitResult:
        """Make a project that locks, checks, runs and has tests, or add what one lacks; files that are there stay.

        Raises:
            UsageError: There is no such template, or the directory lies in a project, is a file, or can't be written.
        """
        from pulpo.cli.initialising import init_project
        from pulpo.cli.project_files import template_named

        return init_project(Path(directory), template_named(template))

    def lock(
        self,
        *,
        check: bool = False,
        prefer: Literal["code", "manifest"] | None = None,
        paths: Sequence[str] = (),
        prune: bool = False,
        on_wait: Callable[[], None] | None = None,
    ) -> LockResult:
        """Write the lock from the code, unless `check`; what changed is in the result. See `pulpo.lock.update.lock`.

        Raises:
            PulpoError: Declarations have errors, or both sides changed a setting.
        """
        from pulpo.lock.update import lock

        return lock(self.project, check=check, prefer=prefer, paths=paths, prune=prune, on_wait=on_wait)

    def explain_lock(self, path: str) -> list[Ownership]:
        """Who owns what stands at a dotted path of the lock, and why; of an entry, each of its fields.

        Raises:
            PulpoError: There is nothing at the path, or lock or code can't be read.
        """
        from pulpo.lock.explain import ownership

        return ownership(self.project, path)

    def check(self, *, code: bool = True, show_overrides: bool = False) -> tuple[Diagnostic, ...]:
        """Everything that is wrong with the lock, sorted by place: errors, and warnings; hand edits as notes if asked for."""
        from pulpo.lock.check import check

        return check(self.project, code=code, show_overrides=show_overrides)

    def explain(self, *codes: str) -> tuple[Page, ...]:
        """The pages that explain codes of problems, such as `PLP101`; all of them, sorted, where none is given.

        Raises:
            PulpoError: There is no such code.
        """
        from pulpo.codes import pages

        return tuple(pages.page(code) for code in codes or pages.codes())

    def explain_name(self, name: str) -> Explanation:
        """Why an operation, a model, a flow or a service is where it is: what feeds it, what follows, who owns its settings.

        Raises:
            UsageError: Nothing has that name.
            PulpoError: The lock can't be read, or operations wait for each other.
        """
        from pulpo.cli.explaining import explain_name

        return explain_name(*self._lock(), name)

    def doctor(self) -> tuple[Finding, ...]:
        """What is on this machine, what is missing, and what to do, in a fixed order; of the project too, where there is one."""
        from pulpo.cli.doctor import diagnose

        return diagnose(lambda: self.project, self.mode)

    def operations(self) -> Mapping[str, OperationSpec]:
        """The operations of the lock, by name."""
        return self.manifest().operations

    def models(self) -> Mapping[str, ModelSpec]:
        """The models of the lock, by name."""
        return self.manifest().models

    def services(self) -> Mapping[str, ServiceSpec]:
        """The services of the lock, by name, with references as they are written."""
        return self.manifest().services

    def check_variables(self, *services: str) -> None:
        """Make sure that the environment variables which services need are set; all services where none is named.

        Raises:
            DiagnosticsError: Some are not, or a reference is malformed; all of it.
        """
        import os

        from pulpo.manifest.references import resolve

        manifest, document = self._lock()
        chosen = {name: spec.data() for name, spec in manifest.services.items() if name in services or not services}
        resolve({"services": chosen}, os.environ, document.locate)

    def environments(self) -> Mapping[str, EnvironmentSpec]:
        """The environments of the lock, by name: what differs in each."""
        return self.manifest().environments

    def flows(self) -> tuple[FlowDefinition, ...]:
        """All flows, compiled, sorted by name: the nodes of the hierarchy, the standalones, and `pipeline`.

        Raises:
            DiagnosticsError: Operations wait for each other.
        """
        from pulpo.compile.orchestration import OrchestrationCompiler
        from pulpo.errors import DiagnosticsError

        manifest, document = self._lock()
        try:
            return OrchestrationCompiler(manifest).compile().flows
        except DiagnosticsError as error:  # of the data flow, which knows paths but no places
            raise DiagnosticsError([d.located(document.locate) for d in error.diagnostics]) from error

    def prefect_deploy(
        self, flow: str | None = None, *, check: bool = False, on_change: Callable[[Change], None] = lambda _: None
    ) -> DeployResult:
        """Make the flows as `compile` does, and their deployments on the Prefect server, or that of one flow, as the lock says.

        They run where the project is: in this directory, or where services are containers in that of its image.
        With `check` nothing is changed, and no file written. `on_change` is told of each change when it is made.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that it refers to.
            UsageError: There is no such flow, no server, or it can't be used.
        """
        from pulpo.cli.deploying import CONTAINER_ROOT, deploy_flows
        from pulpo.compile.artifacts import artifacts, write

        manifest, document, generator = self._generator()
        self._check_reach("prefect", "PREFECT_API_URL")
        if not check:
            write(self.project.cache, artifacts(generator, environment=self.project.environment))
        root = CONTAINER_ROOT if self._chosen_mode(manifest) == "docker" else None
        return deploy_flows(self.project, manifest, document, generator, flow, root=root, check=check, on_change=on_change)

    def prefect_run(
        self,
        flow: str,
        parameters: Parameters | None = None,
        *,
        watch: bool = False,
        on_start: Callable[[FlowRunResult, str | None], None] = lambda *_: None,
        on_line: Callable[[Line], None] = lambda _: None,
    ) -> FlowRunResult:
        """Ask the Prefect server for a run of a deployed flow, which a worker makes; wait for its end if `watch`.

        `on_start` is told of the run that was made, and of its work pool if no worker is online in it; `on_line` of what a run
        that is watched says.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that it refers to.
            UsageError: There is no such flow, it is not deployed, parameters are unknown or missing, or the server can't be used.
        """
        from pulpo.cli.deploying import run_deployed

        generated = self._generator()
        self._check_reach("prefect", "PREFECT_API_URL")
        return run_deployed(self.project, *generated, flow, parameters or {}, watch=watch, on_start=on_start, on_line=on_line)

    def schema(self, directory: str | Path, *, check: bool = False) -> list[str]:
        """Write the JSON Schema of the lock into a directory, unless `check`; returns the files that differed."""
        from pulpo.manifest.schema import stale_schemas, write_schemas

        stale = stale_schemas(Path(directory))
        if not check:
            write_schemas(Path(directory))
        return stale

    def merge(self, base: str | Path, ours: str | Path, theirs: str | Path) -> Merge:
        """Merge two branches' versions of a lock into the file `ours`, as Git asks for it; `base` is their last common one."""
        from pulpo.lock.git_merge import merge_files

        return merge_files(Path(base), Path(ours), Path(theirs))

    def merge_install(self) -> list[str]:
        """Have Git merge locks with `pulpo merge` in the repository of the project; returns what was changed for it."""
        from pulpo.lock.git_merge import install

        return install(self._directory)

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
        engine: Literal["inline", "prefect"] = "inline",
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
        engine: Literal["inline", "prefect"] = "inline",
    ) -> RunRecord:
        """Run a flow or an operation; without one, run the command line and exit.

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
        return run_flow(self.project, flow, part, parameters or {}, inputs or {}, resume, engine=engine)

    def runs(self, *, limit: int = 20) -> list[RunRecord]:
        """The latest runs, newest first."""
        from pulpo.cli.running import list_runs

        self._tell_of_containers()
        return list_runs(self.project, limit)

    def runs_show(self, run: str = "latest") -> RunRecord:
        """A run with its steps, by id, the beginning of one, or `latest`."""
        from pulpo.cli.running import show_run

        self._tell_of_containers()
        return show_run(self.project, run)

    def runs_logs(self, run: str = "latest", *, operation: str | None = None, level: str | None = None) -> list[LoggedLine]:
        """What the operations of a run logged, in that order; of one operation, or of one level and above, if that is said."""
        from pulpo.cli.running import show_logs

        self._tell_of_containers()
        return show_logs(self.project, run, operation, level)
