"""What requests need, as one value: `app.state.context`.

A newer lock makes a new `Context` (`with_manifest`) that takes the place of the old one in `app.state.context`, so a request
takes it once, with `context_of(request)`, and never keeps it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from starlette.requests import HTTPConnection

from pulpo.api.problems import Problem
from pulpo.api.resource import Resource, Resources
from pulpo.compile.orchestration import OrchestrationCompiler
from pulpo.errors import UsageError
from pulpo.manifest.model import Manifest, ModelSpec
from pulpo.names import did_you_mean
from pulpo.run import beanie
from pulpo.run.codec import Codec
from pulpo.store.base import Store

if TYPE_CHECKING:
    from pulpo.api.runner import Runner
    from pulpo.api.settings import Settings
    from pulpo.manifest.yaml_read import Document
    from pulpo.settings import Project


class Codecs:
    """The codecs of models, each made when it is first asked for; the classes that they import stay imported."""

    def __init__(self, models: Mapping[str, ModelSpec]) -> None:
        self._models = models
        self._made: dict[str, Codec] = {}
        self._lock = asyncio.Lock()

    async def get(self, name: str) -> Codec:
        """The codec of a model of the manifest.

        Raises:
            Problem: 503, its class can't be imported; it names the entrypoint and the reason.
        """
        codec = self._made.get(name)
        if codec is None:
            async with self._lock:
                codec = self._made[name] = self._made.get(name) or await self._make(name)
        return codec

    async def _make(self, name: str) -> Codec:
        try:
            codec = Codec(name, self._models[name])
            await beanie.initialise({codec.cls: codec.collection.name})
            _ = codec.adapter
        except UsageError as error:
            raise Problem(503, f"records of {name} can't be checked: {error.message}", hint=error.hint) from error
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise Problem(503, f"records of {name} can't be checked: {reason}") from error
        return codec


@dataclass(frozen=True)
class Context:
    """What requests need. `document` and `project` are None where the app was made from a manifest alone."""

    manifest: Manifest
    store: Store
    settings: Settings
    compiler: OrchestrationCompiler
    codecs: Codecs
    resources: Resources
    document: Document | None = None
    project: Project | None = None
    #: Runs operations and flows; None until the app has started, and where it never does.
    runner: Runner | None = None

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        store: Store,
        settings: Settings,
        *,
        document: Document | None = None,
        project: Project | None = None,
    ) -> Self:
        """The context around a manifest."""
        codecs = Codecs(manifest.models)
        resources = Resources(manifest.models, codecs)
        return cls(manifest, store, settings, OrchestrationCompiler(manifest), codecs, resources, document, project)

    def with_manifest(self, manifest: Manifest, document: Document | None) -> Context:
        """The same around a newer manifest."""
        newer = Context.of(manifest, self.store, self.settings, document=document, project=self.project)
        return dataclasses.replace(newer, runner=self.runner)

    def model(self, name: str) -> ModelSpec:
        """The model called `name`.

        Raises:
            Problem: 404, with the nearest name.
        """
        found = self.manifest.models.get(name)
        if found is None:
            raise Problem(404, f"there is no such model: {name}", hint=did_you_mean(name, self.manifest.models))
        return found

    def resource(self, name: str) -> Resource:
        """The model called `name` as a resource.

        Raises:
            Problem: 404, with the nearest name.
        """
        self.model(name)
        return self.resources[name]


def context_of(connection: HTTPConnection) -> Context:
    """The context of the app that a request came to, as it is now."""
    context: Context = connection.app.state.context
    return context
