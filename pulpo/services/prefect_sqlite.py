"""SQLite as Prefect's server opens it: by a plugin of SQLAlchemy's that keeps the server from standing still for a minute.

In Python 3.11 a cursor keeps its statement when that fails, as many of the server's do: "database is locked", and they are tried
again. The exception keeps the cursor, and is freed on the thread of the event loop, where SQLite then waits for the connection.
If that is in use again by then, and waits in a thread of its own for the database, which is locked by a transaction that only the
event loop can end, nothing is answered until that wait is given up, after 60 seconds. Python 3.12 lets go of the statement.
"""

from __future__ import annotations

from sqlalchemy import URL, event
from sqlalchemy.engine import CreateEnginePlugin, Engine, ExceptionContext


class LeaveFailedConnections(CreateEnginePlugin):
    """A connection on which a statement failed is not used again once its transaction has ended."""

    def update_url(self, url: URL) -> URL:
        """The URL as it is."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """Listen to what fails on an engine."""
        event.listen(engine, "handle_error", _leave)


def _leave(context: ExceptionContext) -> None:
    if context.connection is not None:
        context.connection.connection.invalidate(soft=True)
