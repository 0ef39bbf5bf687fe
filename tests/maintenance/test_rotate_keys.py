"""`steward rotate-keys`: every stored secret moves to the newest key, all or none."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from addon.base import Database, SecretBox, new_id
from addon.cli import main
from addon.connect.models import Tenant
from addon.migrations import schema
from tests.support.clock import VirtualClock

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'steward.sqlite3'}"


def _store(url: str, *sealed_with: str | None) -> None:
    """One tenant per key; None: uninstalled, without a secret."""
    now = VirtualClock().now()
    db = Database(url)
    schema.upgrade(db)
    with db.write_all() as session:
        for number, key in enumerate(sealed_with):
            session.add(
                Tenant(
                    id=new_id(),
                    client_key=f"client-{number}",
                    base_url="https://one.atlassian.net/wiki",
                    state="installed" if key else "uninstalled",
                    secret=SecretBox([key]).seal(f"secret {number}") if key else None,
                    installed_at=now,
                    updated_at=now,
                )
            )
    db.dispose()


def _secrets(url: str, *keys: str) -> list[str]:
    db = Database(url)
    with db.read_all() as session:
        sealed = session.scalars(sa.select(Tenant.secret).where(Tenant.secret.is_not(None)).order_by(Tenant.client_key))
        found = [SecretBox(keys).open(secret) for secret in sealed if secret is not None]
    db.dispose()
    return found


def _rotate(url: str, keys: str) -> Result:
    environment = {"STEWARD_DATABASE_URL": url, "STEWARD_ENCRYPTION_KEYS": keys}
    return CliRunner().invoke(main, ["rotate-keys"], env=environment)


def test_all_secrets_move_to_the_newest_key_and_the_count_is_told(url: str) -> None:
    _store(url, OLD, OLD, NEW, None)
    answer = _rotate(url, f"{NEW},{OLD}")
    assert answer.exit_code == 0, answer.output
    assert answer.output == (
        "3 shared secrets sealed with the newest key; 1 older key can be removed from STEWARD_ENCRYPTION_KEYS.\n"
    )
    assert _secrets(url, NEW) == ["secret 0", "secret 1", "secret 2"]


def test_doing_it_again_is_harmless(url: str) -> None:
    _store(url, OLD)
    assert _rotate(url, f"{NEW},{OLD}").exit_code == _rotate(url, NEW).exit_code == 0
    assert _secrets(url, NEW) == ["secret 0"]


def test_a_secret_that_fits_no_key_leaves_everything_as_it_was(url: str) -> None:
    _store(url, OLD, OTHER)
    answer = _rotate(url, f"{NEW},{OLD}")
    assert answer.exit_code == 1
    assert "nothing was changed" in answer.output
    assert _secrets(url, OLD, OTHER) == ["secret 0", "secret 1"]


def test_it_wants_keys_of_the_right_form_and_a_schema_of_today(url: str) -> None:
    assert "STEWARD_ENCRYPTION_KEYS" in _rotate(url, "").output
    answer = _rotate(url, NEW)
    assert answer.exit_code == 1
    assert "steward migrate" in answer.output
    _store(url, OLD)
    answer = _rotate(url, "not-a-key")
    assert (answer.exit_code, "Traceback" in answer.output) == (1, False)
    assert "not-a-key" not in answer.output
