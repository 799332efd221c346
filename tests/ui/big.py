"""A project of many operations in nested flows."""

from __future__ import annotations

import subprocess
from pathlib import Path

#: Operations of an innermost flow, those of them that are side by side, and flows in a flow.
OPERATIONS, WIDTH, FLOWS = 12, 4, 5


def big_project(root: Path, pulpo: str, operations: int) -> Path:
    """A project with so many operations: four side by side in each flow, each which make the same model; each takes one or two models."""
    package = root / "big"
    package.mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nname = "big"\n[tool.pulpo]\nmodules = ["big"]\n')
    lines = ["from pydantic import BaseModel\n\nfrom pulpo import datamodel, operation\n"]
    for i in range(operations):
        flow, layer = i // OPERATIONS, i // WIDTH
        if i % WIDTH == 0:
            lines.append(f'@datamodel(key="id")\nclass M{layer}(BaseModel):\n    id: str\n')
        takes = [layer - 1] if i % OPERATIONS >= WIDTH else [layer - 15 - i % 3] if layer > 20 else []
        takes += [layer - 10] if i % 7 == 0 and layer > 10 else []
        arguments = ", ".join(f"m{j}: list[M{j}]" for j in takes)
        name = f"area{flow // FLOWS}.pack{flow}.step{i}"
        lines.append(f'@operation("{name}")\ndef step{i}({arguments}) -> M{layer}:\n    return M{layer}(id="{i}")\n')
    (package / "__init__.py").write_text("\n\n".join(lines))
    subprocess.run([pulpo, "--project", root, "lock"], check=True, capture_output=True)
    return root
