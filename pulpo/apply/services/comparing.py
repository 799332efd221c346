"""What differs between the containers of a stack and what its Compose file makes of them: answers compared, nothing asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pulpo.apply.change import Action, Change, Plan
from pulpo.apply.services.made import UNTOLD
from pulpo.apply.services.plan import Observed, Wanted, address, is_along, plan_services, told
from pulpo.apply.services.status import State

if TYPE_CHECKING:
    from pulpo.apply.services.container_status import Seen
    from pulpo.apply.services.made import Made
    from pulpo.compile.topology import ServiceDefinition

PROJECT: Final = "the project changed"
REBUILT: Final = "its image was made anew"
SCALED: Final = "another number of it runs"
#: Where neither what the manifest says of a service nor a variable changed, and Compose makes it otherwise nevertheless.
OTHERWISE: Final = "made otherwise by docker-compose.override.yml, another Compose or Pulpo, or the image's name"
#: Of a container that was to be replaced.
LEFTOVER: Final = "left by something that was killed while it replaced a container"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A stack as it was found, beside what it is made from."""

    definitions: Mapping[str, ServiceDefinition]
    seen: Seen
    #: What Compose makes of each service now; containers are labelled with what it was.
    hashes: Mapping[str, str]
    #: The ids that images have now, by the names that containers asked for them by, where they are there.
    images: Mapping[str, str]
    #: What goes into the project's image now; empty where no service runs from it.
    content: str = ""
    #: What each service would be made from, where one is not as wanted.
    made: Mapping[str, Made] = field(default_factory=dict, repr=False)

    def plan(self, names: Sequence[str], *, everything: bool) -> Plan:
        """What `up` of these services would change, which come after those that they need; with `everything` orphans go."""
        found = self.seen.containers
        observed = {name: Observed(self.seen.state(name), self._marks(name), self._made(name)) for name in found}
        orphans = sorted(found.keys() - self.definitions.keys()) if everything else []
        others = [d for n, d in self.definitions.items() if n not in names and observed.get(n, Observed(State.ABSENT)).runs]
        plan = plan_services([self._wanted(name) for name in names], observed, orphans=orphans)
        if everything:
            left = [Change(address(one.name), Action.DELETE, LEFTOVER) for one in self.seen.leftovers]
            plan = Plan((*left, *plan.changes), plan.notes)
        return told(plan, {d.name: [need.service for need in d.needs] for d in others})

    def differing(self) -> set[str]:
        """The services whose containers are not what the manifest says."""
        return {
            name
            for name in self.definitions.keys() & self.seen.containers.keys()
            if any(self._marks(name).get(cause, mark) != mark for cause, mark in self._wanted(name).marks.items())
        }

    def _wanted(self, name: str) -> Wanted:
        definition = self.definitions[name]
        marks = {
            UNTOLD: self.hashes.get(name, ""),
            PROJECT: self.content if definition.image is None else "",
            REBUILT: self._image(name),
            SCALED: str(definition.replicas),
        }
        needs = tuple(sorted(need.service for need in definition.needs))
        return Wanted(name, {k: v for k, v in marks.items() if v}, needs, self.made.get(name), OTHERWISE)

    def _made(self, name: str) -> Made | None:
        """What containers were made from, of several one that is not as wanted."""
        several = self.seen.containers[name]
        return next((one.made for one in several if one.config_hash != self.hashes.get(name)), several[0].made)

    def _image(self, name: str) -> str:
        several = self.seen.containers.get(name)
        return self.images.get(several[0].image_name, "") if several else ""

    def _marks(self, name: str) -> dict[str, str]:
        """Of several containers, the mark of one that is not as wanted is told."""
        several = self.seen.containers[name]
        hashes = {one.config_hash for one in several}
        wanted = self._image(name)
        contents = {self.content if one.content is None else one.content for one in several}
        return {
            UNTOLD: next(iter(hashes)) if len(hashes) == 1 else "several",
            PROJECT: next(iter(contents - {self.content}), self.content),
            REBUILT: next(iter({one.image for one in several} - {wanted}), wanted),
            SCALED: str(len(several)),
        }


def replaced(plan: Plan) -> set[str]:
    """The names of the services that are made anew for what they need, and not for themselves: Compose has to be told."""
    return {change.address.partition(":")[2] for change in plan.changes if is_along(change)}
