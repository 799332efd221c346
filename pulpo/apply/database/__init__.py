"""Collections and indexes brought in line with the manifest: observe, plan, execute.

Nothing is remembered but in the database, so what broke off is finished by the next call. The desired collections are those that
`pulpo db init` makes. Those of the history of runs are passed over: they are made when they are first written to, and dropped
only with everything else.
"""

from __future__ import annotations

from pulpo.apply.database.execute import execute_database, execute_step
from pulpo.apply.database.observe import ObservedDatabase, observe
from pulpo.apply.database.plan import plan_database, plan_removal
from pulpo.apply.database.steps import Step, Steps

__all__ = ["ObservedDatabase", "Step", "Steps", "execute_database", "execute_step", "observe", "plan_database", "plan_removal"]
