"""The operating guide names every setting and no others."""

import re
from pathlib import Path

from addon.config import Settings

GUIDE = Path(__file__).parent.parent / "docs" / "operating.md"


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"^\| `(STEWARD_[A-Z_]+)` \|", GUIDE.read_text(), re.MULTILINE))
    assert documented == {f"STEWARD_{name.upper()}" for name in Settings.model_fields}
