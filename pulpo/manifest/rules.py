"""Rules of the manifest that no schema can say and that need no graph."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pulpo.diagnostics import Diagnostic, Related

if TYPE_CHECKING:
    from pulpo.manifest.model import Manifest


def rule_problems(manifest: Manifest) -> list[Diagnostic]:
    """PLP211 for each model that is stored in another one's collection, sorted by name."""
    by_collection: dict[str, list[str]] = defaultdict(list)
    for name, spec in sorted(manifest.models.items()):
        by_collection[spec.collection_for(name)].append(name)
    return [
        Diagnostic(
            "PLP211",
            f"its records would be stored among those of {names[0]}, in the collection: {collection}",
            ("models", name, "collection"),
            hint="give one of them another `collection`",
            related=(Related(f"{names[0]} is stored there, too", ("models", names[0])),),
        )
        for collection, names in sorted(by_collection.items())
        for name in names[1:]
    ]
