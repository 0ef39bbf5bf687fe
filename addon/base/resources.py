"""The files that are not code, and how they are rendered: the same from a checkout and from a wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2


def templates() -> Path:
    """Return the folder of templates: inside the package when installed from a wheel, else next to it."""
    package = Path(__file__).parents[1]
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent / "templates"


@cache
def environment() -> jinja2.Environment:
    """Return the one Jinja environment: HTML is escaped, an undefined name is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates()),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, **values: Any) -> str:
    """Render the template `name` (such as `screens/jobs.html`). Raises jinja2.UndefinedError on a missing value."""
    return environment().get_template(name).render(**values)
