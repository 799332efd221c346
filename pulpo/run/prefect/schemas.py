"""The JSON Schema of a flow's parameter where its Python type does not say all of it: what Prefect's form and checks go by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

#: Where Prefect has definitions.
_DEFINITIONS = "#/definitions/"


# Lower case: in generated text it reads like the other words of this package.
class schema:  # noqa: N801
    """To stand beside the type in `Annotated`: what the schema says, and the definitions that it refers to."""

    def __init__(self, /, *, definitions: Mapping[str, Any] | None = None, **says: Any) -> None:
        """References are of the form `#/definitions/NAME`."""
        self._says = says
        self._definitions = definitions or {}

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Called by pydantic, which has names of its own for definitions until the whole schema is made."""
        generator: Any = handler.generate_json_schema  # type: ignore[attr-defined]
        places = {name: generator.get_cache_defs_ref_schema(name) for name in self._definitions}
        references = {f"{_DEFINITIONS}{name}": place["$ref"] for name, (_, place) in places.items()}
        for name, (key, _) in places.items():
            generator.definitions[key] = _led(self._definitions[name], references)
        made: dict[str, Any] = _led(self._says, references)
        return made


def _led(value: Any, references: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            key: references.get(item, item) if key == "$ref" and isinstance(item, str) else _led(item, references)
            for key, item in value.items()
        }
    return [_led(item, references) for item in value] if isinstance(value, list) else value
