"""Which functions are async, as the manifest records it: nothing here imports or inspects the function itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulpo.errors import UsageError
from pulpo.manifest.model import OperationSpec
from pulpo.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from pulpo.manifest.model import Manifest


class SyncAsyncDetector:
    """Tells async operations from sync ones, and makes sync functions ones that can be awaited."""

    def __init__(self, manifest: Manifest) -> None:
        self._by_entrypoint = {spec.entrypoint: spec.is_async for spec in manifest.operations.values()}

    def is_async(self, operation: OperationSpec | str) -> bool:
        """Whether an operation, given by its entry or its entrypoint, is `async def`.

        Raises:
            UsageError: No operation has the entrypoint.
        """
        if isinstance(operation, OperationSpec):
            return operation.is_async
        if operation not in self._by_entrypoint:
            near = did_you_mean(operation, self._by_entrypoint)
            raise UsageError(f"no operation has the entrypoint: {operation}", hint=near)
        return self._by_entrypoint[operation]

    def wrap_if_sync(self, function: Callable[..., Any], *, is_async: bool) -> Callable[..., Awaitable[Any]]:
        """An async function as it is; a sync one as an async function that calls it in a thread, so that nothing waits for it."""
        if is_async:
            return function
        import asyncio
        import functools

        @functools.wraps(function)
        async def in_thread(*args: object, **kwargs: object) -> Any:
            return await asyncio.to_thread(function, *args, **kwargs)

        return in_thread

    def detect_and_wrap(self, operation: OperationSpec | str, function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """The operation's function as one that can be awaited.

        Raises:
            UsageError: No operation has the entrypoint.
        """
        return self.wrap_if_sync(function, is_async=self.is_async(operation))
