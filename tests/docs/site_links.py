"""A hook of MkDocs: links to files of the repository that are no pages lead to the repository, where they exist."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from pulpo.names import REPOSITORY_URL

LOG = logging.getLogger("mkdocs.hooks")
ROOT = Path(__file__).parents[2]


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page with such links; one to what is not there is a warning, which fails a strict build."""

    def elsewhere(found: re.Match[str]) -> str:
        path = (ROOT / "docs" / page.file.src_path).parent / found["path"]
        resolved = path.resolve()
        if resolved.is_relative_to(ROOT / "docs"):
            return found[0]
        if not resolved.is_relative_to(ROOT) or not resolved.exists():
            LOG.warning("%s has a link to what is not in the repository: %s", page.file.src_path, found["path"])
        kind = "tree" if resolved.is_dir() else "blob"
        return f"]({REPOSITORY_URL}/{kind}/main/{resolved.relative_to(ROOT)}{found['rest']})"

    return re.sub(r"\]\((?P<path>(?:\.\./)+[^)#\s]*)(?P<rest>[^)]*)\)", elsewhere, markdown)
