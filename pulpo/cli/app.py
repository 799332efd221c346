"""The class `CLI`: the command line, and every command as a method."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, overload

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pulpo.apply.change import Change
    from pulpo.cli.databases import Imported, Locked, Prepared, Progress
    from pulpo.cli.deploying import DeployResult, FlowRunResult
    from pulpo.cli.serving import ApiState
    from pulpo.codes.pages import Page
    from pulpo.compile.artifacts import Changes
    from pulpo.compile.codegen import PrefectCodeGenerator
    from pulpo.compile.flow import FlowDefinition
    from pulpo.diagnostics import Diagnostic
    from pulpo.graph.render import GraphFormat
    from pulpo.lock.explain import Ownership
    from pulpo.lock.git_merge import Merge
    from pulpo.lock.update import LockResult
    from pulpo.manifest.model import EnvironmentSpec, Manifest, ModelSpec, OperationSpec
    from pulpo.manifest.service import ServiceSpec
    from pulpo.manifest.yaml_read import Document
    from pulpo.run.logs import LoggedLine
    from pulpo.run.prefect.deployed import Line
    from pulpo.run.record import RunRecord
    from pulpo.run.start import Parameters
    from pulpo.services.logs import LogLine
    from pulpo.settings import Project
    from pulpo.store.transfer import Copied


class CLI:
    """The command line of one project, for its own `main.py`: `CLI().run()`; and every command as a method.

    Methods return what they found or made, and raise `PulpoError` where they can't: `check` returns problems, and `run` a
    failed run, for those are answers.
    """

    def __init__(self, project: str | Path | None = None, *, environment: str | None = None) -> None:
        """The project in the directory `project`, else the one of the file that makes the object.

        With an `environment` all commands but `lock` work on the manifest as that has it; the command line's `--env` goes first.
        """
        from pulpo.declare.registry import caller

        self._directory = Path(project) if project is not None else Path(caller(1)[1].file).parent
        #: A `main.py` makes its directory a project: it has imported what it declares.
        self._is_main = project is None
        self._project: Project | None = None
        self.environment = environment

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
        return replace(self._project, environment=self.environment)

    def manifest(self) -> Manifest:
        """The manifest as the lock has it, in the environment if there is one."""
        return self._lock()[0]

    def _lock(self) -> tuple[Manifest, Document]:
        from pulpo.manifest.load import load

        project = self.project
        return load(project.lock_path, file=project.lock_shown, environment=project.environment)

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

    def compile(self, *, check: bool = False) -> Changes:
        """Make the Prefect flows of the lock in `run_cache/orchestration`, unless `check`; returns the files that differed.

        Raises:
            DiagnosticsError: The lock has problems.
            UsageError: A file that `compile` did not make is in the way, or nothing can be written.
        """
        from pulpo.compile.artifacts import artifacts, write

        _, _, generator = self._generator()
        return write(self.project.cache, artifacts(generator, environment=self.project.environment), check=check)

    def _generator(self) -> tuple[Manifest, Document, PrefectCodeGenerator]:
        """The lock, if it has no errors, and what makes Prefect code of it."""
        from pulpo.compile.codegen import PrefectCodeGenerator
        from pulpo.diagnostics import errors
        from pulpo.errors import DiagnosticsError
        from pulpo.lock.check import check_manifest

        manifest, document = self._lock()
        if found := errors(check_manifest(manifest)):
            raise DiagnosticsError([d.located(document.locate) for d in found])
        return manifest, document, PrefectCodeGenerator(manifest)

    def prefect_deploy(
        self, flow: str | None = None, *, check: bool = False, on_change: Callable[[Change], None] = lambda _: None
    ) -> DeployResult:
        """Make the flows as `compile` does, and their deployments on the Prefect server, or that of one flow, as the lock says.

        With `check` nothing is changed, and no file written. `on_change` is told of each change when it is made.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that it refers to.
            UsageError: There is no such flow, no server, or it can't be used.
        """
        from pulpo.cli.deploying import deploy_flows
        from pulpo.compile.artifacts import artifacts, write

        manifest, document, generator = self._generator()
        if not check:
            write(self.project.cache, artifacts(generator, environment=self.project.environment))
        return deploy_flows(self.project, manifest, document, generator, flow, check=check, on_change=on_change)

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

        return run_deployed(
            self.project, *self._generator(), flow, parameters or {}, watch=watch, on_start=on_start, on_line=on_line
        )

    def api_start(
        self, *, host: str | None = None, port: str | int | None = None, on_start: Callable[[], None] = lambda: None
    ) -> ApiState:
        """Start the API in the background unless it runs, and wait until it is ready; it lives on when this process ends.

        `on_start` is told when it is started, and so is waited for.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that its service `api` refers to.
            UsageError: Its packages are not installed, its settings make no sense, or its port is taken.
            ServiceError: It ended, or was not ready in time.
        """
        from pulpo.cli.serving import start_api

        return start_api(self.project, *self._lock(), host=host, port=port, on_start=on_start)

    def api_stop(self) -> bool:
        """Stop the API; what it listened on is free then. False where it did not run."""
        from pulpo.cli.serving import stop_api

        return stop_api(self.project)

    def api_restart(
        self, *, host: str | None = None, port: str | int | None = None, on_start: Callable[[], None] = lambda: None
    ) -> ApiState:
        """Stop the API if it runs, and start it, as `api_start` does; one that can't start as asked is not stopped."""
        from pulpo.cli.serving import start_api

        return start_api(self.project, *self._lock(), host=host, port=port, on_start=on_start, restart=True)

    def api_serve(
        self, *, host: str | None = None, port: str | int | None = None, on_listen: Callable[[str], None] = lambda _: None
    ) -> None:
        """Serve the API in this process until a signal ends it; `on_listen` is told where it is.

        Raises:
            DiagnosticsError: The lock has problems, or variables are not set that its services `api` and `db` refer to.
            PulpoError: As `api_start`; or the store can't be opened.
        """
        from pulpo.cli.serving import serve_api

        serve_api(self.project, *self._lock(), host=host, port=port, on_listen=on_listen)

    def api_logs(self, *, tail: int | None = None, since: dt.datetime | None = None, follow: bool = False) -> Iterator[LogLine]:
        """The lines of the API's log, oldest first: the last `tail` of those since a time; with `follow` new ones, for ever."""
        from pulpo.cli.serving import api_logs

        return api_logs(self.project, tail=tail, since=since, follow=follow)

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

        return list_runs(self.project, limit)

    def runs_show(self, run: str = "latest") -> RunRecord:
        """A run with its steps, by id, the beginning of one, or `latest`."""
        from pulpo.cli.running import show_run

        return show_run(self.project, run)

    def runs_logs(self, run: str = "latest", *, operation: str | None = None, level: str | None = None) -> list[LoggedLine]:
        """What the operations of a run logged, in that order; of one operation, or of one level and above, if that is said."""
        from pulpo.cli.running import show_logs

        return show_logs(self.project, run, operation, level)

    def db_init(self) -> tuple[Prepared, ...]:
        """Make the collections and indexes of the lock that the store lacks; says of each collection what was made.

        Raises:
            PulpoError: The store can't be used, or an index can't be made of what is there.
        """
        from pulpo.cli.databases import prepare_database

        return prepare_database(self._locked())

    def db_copy(self, source: str, target: str, *, on_progress: Progress = lambda *_: None) -> list[Copied]:
        """Copy records and runs from one store to another: `project`, `embedded` or URIs; how each collection was copied.

        What the target has already is compared, and written only where it differs. `on_progress` is told of a collection, how
        many of its records are done, and of how many.

        Raises:
            PulpoError: A store can't be used, both are the same, or the target refuses a record.
        """
        from pulpo.cli.databases import copy_database

        return copy_database(self._locked(), source, target, on_progress)

    def db_export(self, *models: str, output: str | Path, on_progress: Progress = lambda *_: None) -> dict[str, int]:
        """Write the records of models, of all where none is named, as JSON lines into a directory, or to `-`; how many, by model.

        Raises:
            PulpoError: There is no such model, the store can't be used, or nothing can be written.
        """
        from pulpo.cli.databases import export_records

        return export_records(self._locked(), models, str(output), on_progress)

    def db_import(self, *files: str | Path, model: str | None = None, on_progress: Progress = lambda *_: None) -> Imported:
        """Store the records of JSON lines, from files, directories of them or `-`; lines that are no records are in the result.

        `model` is that of lines which do not say it themselves; without it the file's name is.

        Raises:
            PulpoError: There is no such model or file, a class can't be imported, or the store can't be used.
        """
        from pulpo.cli.databases import import_records

        return import_records(self._locked(), [str(file) for file in files], model, on_progress)

    def _locked(self) -> Locked:
        from pulpo.cli.databases import Locked

        return Locked(self.project, *self._lock())
