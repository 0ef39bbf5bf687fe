"""A database is copied while the server runs, and a restored one does nothing a second time."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from addon.app import create_app, parts_of, stop
from addon.base import TenantId, new_id
from addon.cli import main
from addon.config import Settings
from addon.connect.models import Tenant
from addon.engine.models import JobExecution
from addon.mail import NewMail
from addon.mail.models import OutboxMail
from addon.parts import Parts

KEY = Fernet.generate_key().decode()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """An installation with an execution that sends, and two mails that wait."""
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'steward.sqlite3'}", encryption_keys=(KEY,)))
    made = parts_of(app)
    tenant, execution, now = TenantId(new_id()), new_id(), made.clock.now()
    with made.db.write_all() as session:
        session.add(
            Tenant(
                id=tenant,
                client_key="client",
                base_url="https://one.atlassian.net/wiki",
                state="installed",
                secret=b"sealed",
                installed_at=now,
                updated_at=now,
            )
        )
        session.flush()
        made.engine.open_lane(session, tenant, first_run=False)
        made.policies.seed(session, tenant)
        session.add(
            JobExecution(
                id=execution,
                tenant_id=tenant,
                job_type="send-notifications",
                scope="site",
                trigger="manual",
                params={},
                policy_version=1,
                status="running",
                started_at=now,
            )
        )
        session.flush()
        made.mailer.enqueue(
            session, [NewMail(tenant, execution, person, "Hi", "Text", "<p>Text</p>") for person in ("p1", "p2")]
        )
    yield made
    stop(app)


def _run(url: str, *words: str) -> Result:
    return CliRunner().invoke(main, words, env={"STEWARD_DATABASE_URL": url, "STEWARD_ENCRYPTION_KEYS": KEY})


def test_a_copy_is_made_of_a_database_in_use_and_a_restored_one_repeats_nothing(parts: Parts, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    with parts.db.write_all() as session:
        session.execute(sa.update(OutboxMail).where(OutboxMail.account_id == "p1").values(subject="not committed yet"))
        answer = _run(str(parts.db.url), "backup", str(copy))
    assert answer.exit_code == 0, answer.output
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600
    assert {path.name for path in tmp_path.glob("copy*")} == {"copy.sqlite3"}

    url = f"sqlite:///{copy}"
    answer = _run(url, "after-restore", "--yes")
    assert answer.output.endswith("1 executions cancelled, 2 unsent mails dropped. Start the server.\n")
    assert _run(url, "after-restore", "--yes").output.endswith(
        "0 executions cancelled, 0 unsent mails dropped. Start the server.\n"
    )

    app = create_app(Settings(database_url=url, encryption_keys=(KEY,)))
    with parts_of(app).db.read_all() as session:
        assert {row.status for row in session.scalars(sa.select(JobExecution))} == {"cancelled"}
        mails = session.scalars(sa.select(OutboxMail)).all()
        assert {(mail.state, mail.subject, mail.text) for mail in mails} == {("dead", "", "")}
        assert "a backup was restored" in (mails[0].reason or "")
    stop(app)


def test_making_ready_asks_whether_anything_runs(parts: Parts) -> None:
    answer = _run(str(parts.db.url), "after-restore")
    assert answer.exit_code == 1
    assert (
        "Have all `steward serve` and `steward worker` processes on this database been stopped? [y/N]" in answer.output
    )
    with parts.db.read_all() as session:
        assert {mail.state for mail in session.scalars(sa.select(OutboxMail))} == {"pending"}


def test_nothing_is_written_over_and_nothing_is_left_half_done(parts: Parts, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("yesterday's backup")
    answer = _run(str(parts.db.url), "backup", str(precious))
    assert (answer.exit_code, precious.read_text()) == (1, "yesterday's backup")
    assert "exists already" in answer.output

    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_bytes(b"no database " * 1000)
    answer = _run(f"sqlite:///{damaged}", "backup", str(tmp_path / "copy"))
    assert answer.exit_code == 1
    assert "could not be copied" in answer.output
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////no/such/file.sqlite3", "There is no file /no/such/file.sqlite3"),
        ("postgresql+psycopg://u@127.0.0.1:1/steward", "pg_dump"),
    ],
)
def test_what_cannot_be_copied_says_what_to_do(url: str, words: str, tmp_path: Path) -> None:
    answer = _run(url, "backup", str(tmp_path / "copy"))
    assert answer.exit_code == 1
    assert words in answer.output
    assert not (tmp_path / "copy").exists()
