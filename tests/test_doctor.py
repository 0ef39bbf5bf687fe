"""`steward doctor` says what is well, what is not and what to do, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from cryptography.fernet import Fernet
from flask import Flask

from addon.app import create_app, stop
from addon.base import Database
from addon.cli import main
from addon.config import Settings
from addon.migrations import schema
from tests.support.postgres import PostgresServer
from tests.support.smtp import MailServer

KEY = Fernet.generate_key().decode()


def _doctor(url: str, *words: str, **settings: str) -> tuple[int, dict[str, str]]:
    """Return the exit status, and what was found by subject."""
    made = {"BASE_URL": "https://steward.example.com", "ENCRYPTION_KEYS": KEY, "DATABASE_URL": url} | settings
    answer = CliRunner().invoke(main, ["doctor", *words], env={f"STEWARD_{name}": v for name, v in made.items()})
    assert "Traceback" not in answer.output
    found = dict[str, str]()
    for line in answer.output.splitlines():
        subject, _, detail = line[6:].partition(": ")
        found[subject] = line[:4].strip() + " " + detail
    return answer.exit_code, found


def test_a_fresh_sqlite_is_no_failure_and_is_not_made(tmp_path: Path) -> None:
    status, found = _doctor(f"sqlite:///{tmp_path / 'fresh.sqlite3'}")
    assert status == 0
    assert found["Database"].endswith("fresh.sqlite3 is not there yet: `steward serve` makes it at its start")
    assert list(tmp_path.iterdir()) == []


def test_an_sqlite_of_an_earlier_version_is_brought_up_to_date_by_the_next_start(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.sqlite3'}"
    db = Database(url)
    with db.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('0001')"))
    db.dispose()
    status, found = _doctor(url)
    assert (status, found["Database"]) == (
        0,
        f"ok at revision 0001: `steward serve` brings it to {schema.head()} at its start",
    )


@pytest.mark.parametrize("command", ["doctor", "migrate", "serve"])
def test_a_database_of_a_newer_version_is_refused_in_words(tmp_path: Path, command: str) -> None:
    url = f"sqlite:///{tmp_path / 'newer.sqlite3'}"
    db = Database(url)
    with db.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('9999')"))
    db.dispose()
    answer = CliRunner().invoke(main, [command], env={"STEWARD_DATABASE_URL": url, "STEWARD_ENCRYPTION_KEYS": KEY})
    assert answer.exit_code == 1
    assert "a newer version has been at it" in answer.output


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////no/such/folder/steward.sqlite3", "there is no folder /no/such/folder"),
        ("postgresql+psycopg://me:swordfish@127.0.0.1:1/steward", "Connection refused"),
    ],
)
def test_a_database_that_cannot_be_used_says_why(url: str, words: str) -> None:
    status, found = _doctor(url)
    assert status == 1
    assert found["Database"].startswith("FAIL STEWARD_DATABASE_URL")
    assert words in found["Database"]
    assert "swordfish" not in found["Database"]


def test_a_file_that_is_no_database_is_told_by_every_command(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be read as one" * 100)
    url = f"sqlite:///{tmp_path / 'notes.txt'}"
    assert "file is not a database" in _doctor(url)[1]["Database"]
    for command in ("migrate", "serve"):
        answer = CliRunner().invoke(main, [command], env={"STEWARD_DATABASE_URL": url, "STEWARD_ENCRYPTION_KEYS": KEY})
        assert answer.exit_code == 1
        assert answer.output.startswith("Error: STEWARD_DATABASE_URL")


def test_an_empty_postgresql_needs_migrate(postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE DATABASE doctor_empty")
    status, found = _doctor(postgres_server.url("doctor_empty"))
    assert status == 1
    assert found["Database"].endswith("Run: steward migrate")


def test_a_web_process_without_a_worker_is_told(postgres_server: PostgresServer, tmp_path: Path) -> None:
    postgres_server.execute("CREATE DATABASE doctor_web")
    url = postgres_server.url("doctor_web")
    db = Database(url, patience=None)
    schema.upgrade(db)
    db.dispose()
    assert _doctor(url)[1]["Processes"] == "ok none is running on this database now"

    def app_with(runners: int) -> Flask:
        return create_app(Settings(database_url=url, encryption_keys=(KEY,), runners=runners), start=True)

    web = app_with(0)
    status, found = _doctor(url)
    assert status == 1
    assert found["Processes"].startswith("FAIL no worker: ")
    assert "steward worker" in found["Processes"]
    worker = app_with(1)
    assert _doctor(url)[1]["Processes"] == "ok 1 that run jobs"
    stop(worker)
    stop(web)


def test_what_the_mail_server_says_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.sqlite3'}"
    hellos: list[str] = []
    with MailServer(on_hello=lambda name: hellos.append(name)) as server:
        status, found = _doctor(url, SMTP_URL=server.url, MAIL_FROM="Steward <s@example.com>")
        assert (status, found["Mail"]) == (
            0,
            "ok as steward.example.com, from s@example.com, to itself: the mail server said 250 OK",
        )
        assert hellos == ["steward.example.com"]
        server.on_recipient = lambda who: None if who == "s@example.com" else "554 5.7.1 Relay access denied"
        assert _doctor(url, SMTP_URL=server.url, MAIL_FROM="s@example.com")[0] == 0
        status, found = _doctor(url, "--mail-to", "reader@example.org", SMTP_URL=server.url, MAIL_FROM="s@example.com")
        assert status == 1
        assert "554 5.7.1 Relay access denied" in found["Mail"]
        server.on_recipient = lambda who: "550 5.1.1 no such mailbox"
        status, found = _doctor(url, SMTP_URL=server.url, MAIL_FROM="noreply@example.com")
        assert status == 0, "a sender need not be a mailbox"
        assert "550 5.1.1 no such mailbox. Try --mail-to" in found["Mail"]
        server.on_hello = lambda name: "504 need a fully-qualified name"
        status, found = _doctor(url, SMTP_URL=server.url, MAIL_EHLO="steward")
        assert status == 1
        assert "504 need a fully-qualified name (as steward," in found["Mail"]
        assert server.mails == []


@pytest.mark.parametrize("address", ["", "reader", "a@b.example, c@d.example"])
def test_an_address_to_try_is_one_address(tmp_path: Path, address: str) -> None:
    status, found = _doctor(f"sqlite:///{tmp_path / 'a.sqlite3'}", "--mail-to", address, SMTP_URL="smtp://127.0.0.1:1")
    assert (status, found["Mail"]) == (1, "FAIL --mail-to takes one plain mail address")


def test_a_note_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEWARD_TEST_REQUIRE", raising=False)
    status, found = _doctor(f"sqlite:///{tmp_path / 'a.sqlite3'}", PORT="tcp://10.0.0.1:80")
    assert (status, found["Settings"]) == (0, "note STEWARD_PORT is no setting and is ignored")
