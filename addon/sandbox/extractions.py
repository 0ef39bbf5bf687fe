"""The parts of content properties that search indexes, as installed descriptors declare them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from addon.sandbox import dates
from addon.sandbox.records import AddonInstallation, Content

MAX_TEXT = 1000
"""Characters of an object name's value that are indexed as a string."""
TYPES = ("number", "string", "text", "date")


@dataclass(frozen=True, slots=True)
class Extraction:
    """One indexed value: the dotted `object_name` inside the property `property_key`, of one of TYPES."""

    property_key: str
    object_name: str
    type: str
    alias: str | None = None

    def reader(self) -> Callable[[Content], Any]:
        """Return a function from a content to the indexed value (str, float or aware datetime), None when absent."""
        key, path, convert = self.property_key, tuple(self.object_name.split(".")), _CONVERT[self.type]

        def read(content: Content) -> Any:
            found = content.properties.get(key)
            if found is None:
                return None
            value = found.value
            for name in path:
                if not isinstance(value, dict):
                    return None
                value = value.get(name)
            return None if value is None else convert(value)

        return read


def declared(addons: Iterable[AddonInstallation]) -> Mapping[str, Extraction]:
    """Return all extractions by CQL field: the alias, and `content.property[key].object` for each."""
    fields: dict[str, Extraction] = {}
    for addon in addons:
        for module in addon.descriptor.get("modules", {}).get("confluenceContentProperties", ()):
            for configuration in module.get("keyConfigurations", ()):
                for raw in configuration.get("extractions", ()):
                    found = Extraction(configuration["propertyKey"], raw["objectName"], raw["type"], raw.get("alias"))
                    if found.type not in TYPES:
                        continue
                    fields[f"content.property[{found.property_key}].{found.object_name}".lower()] = found
                    if found.alias:
                        fields[found.alias.lower()] = found
    return fields


def _string(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return str(value)[:MAX_TEXT]


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


_CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "string": _string,
    "text": _string,
    "number": _number,
    "date": dates.stored,
}
