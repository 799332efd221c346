"""What the methods of `CLI` work on: a project and its lock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from pulpo.apply.services.mode import ChosenMode
    from pulpo.manifest.model import Manifest
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project


class OfProject:
    """Commands on one project."""

    def __init__(
        self, project: str | Path | None = None, *, environment: str | None = None, mode: Literal["local", "docker"] | None = None
    ) -> None:
        """The project in the directory `project`, else the one of the file that makes the object.

        With an `environment` all commands but `lock` work on the manifest as that has it; the command line's `--env` goes first.
        `mode` is how services run, before PULPO_MODE and the lock; the command line's `--mode` goes first.
        """
        from pulpo.declare.registry import caller

        self._directory = Path(project) if project is not None else Path(caller(1)[1].file).parent
        #: A `main.py` makes its directory a project: it has imported what it declares.
        self._is_main = project is None
        self._project: Project | None = None
        self.environment = environment
        self.mode: str | None = mode
        #: Told how services run, and who said so, by each command that has to know it.
        self.on_mode: Callable[[ChosenMode], None] = lambda _: None
        #: Told what a command could do only in part, in a sentence.
        self.on_warning: Callable[[str], None] = lambda _: None

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

    def _tell_of_containers(self) -> None:
        """Warn that commands of this machine don't see what containers stored, where those have an embedded database."""
        import os

        from pulpo.settings import STORE_PATH_VARIABLE

        if os.environ.get(STORE_PATH_VARIABLE) or not self.project.lock_path.exists():
            return  # this is one of them; or there are none
        from pulpo.apply.services.mode import chosen_mode
        from pulpo.store.open import project_uri

        manifest, document = self._lock()
        if chosen_mode(manifest, self.mode, file=self.project.lock_shown).mode != "docker":
            return
        if project_uri(self.project, manifest, locate=document.locate) is None:
            self.on_warning("what containers stored is not here but in a volume of theirs: ask the API for it, or use MongoDB")

    def _check_reach(self, service: str, variable: str) -> None:
        """Raise where a service runs on another machine, and the variable does not say where it is reached from here."""
        from pulpo.apply.services.mode import chosen_mode
        from pulpo.cli.reaching import out_of_reach
        from pulpo.cli.single import manager_of

        manifest, document = self._lock()
        mode = chosen_mode(manifest, self.mode, file=self.project.lock_shown).mode
        if mode == "docker" and (
            problem := out_of_reach(manager_of(self.project, manifest, document, mode), manifest, service, variable)
        ):
            raise problem

    def _lock(self) -> tuple[Manifest, Document]:
        from pulpo.manifest.load import load

        project = self.project
        return load(project.lock_path, file=project.lock_shown, environment=project.environment)
