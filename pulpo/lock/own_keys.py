"""Keys of people's own within what the code owns: those that begin with `x-`, wherever keys are fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.diagnostics import Path

#: Where keys are names: a field of a model or a header that is called `x-token` is nobody's own.
_NAMES = frozenset(
    {"models", "operations", "flows", "services", "environments", "parameters", "parameter_objects", "inputs"}
    | {"properties", "patternProperties", "dependentSchemas", "$defs"}
)
#: Where values are the code's, whatever is in them.
_VALUES = frozenset({"default", "const", "enum", "examples"})


def is_own(path: Path) -> bool:
    """Whether what stands at a path of the manifest is somebody's own key, or in one."""
    named = False
    for part in path:
        if not named and str(part).startswith("x-"):
            return True
        if not named and part in _VALUES:
            return False
        named = not named and part in _NAMES
    return False


def own_keys(data: Any, path: Path) -> Iterator[Path]:
    """The paths of all own keys in what stands at a path; not those in JSON Schemas, where the code can have some, too."""
    if is_own(path):
        yield path
    elif isinstance(data, dict | list) and path[-1] != "schema":
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from own_keys(value, (*path, key))


def with_own(new: Any, old: Any, path: Path) -> Any:
    """The new data of a path with the own keys that the old has at the same places, and at the same items of lists."""
    if new == old:
        return new
    if isinstance(new, dict) and isinstance(old, dict):
        merged = {key: with_own(value, old.get(key), (*path, key)) for key, value in new.items()}
        return merged | {key: value for key, value in old.items() if key not in merged and is_own((*path, key))}
    if isinstance(new, list) and isinstance(old, list) and any(isinstance(item, dict) for item in old):
        return _items_with_own(new, old, path)
    return new


def _items_with_own(new: list[Any], old: list[Any], path: Path) -> list[Any]:
    """Items that are the same but for own keys keep theirs wherever they are; others those of their place if none is new."""
    free = dict(enumerate(old))
    partners: dict[int, Any] = {}
    for number, item in enumerate(new):
        fits = (n for n, other in free.items() if with_own(item, other, (*path, number)) == other)
        if (found := next(fits, None)) is not None:
            partners[number] = free.pop(found)
    if len(new) == len(old):
        partners = free | partners
    return [with_own(item, partners.get(number), (*path, number)) for number, item in enumerate(new)]
