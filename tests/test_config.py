"""What is wrong with the settings is told before anything starts: the variable's name, and plain words."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from addon.cli import main
from addon.config import Settings, strangers

BAD = [
    ("BASE_URL", "steward.example.com", "must be an absolute http(s) URL"),
    ("BASE_URL", "https://", "must be an absolute http(s) URL"),
    ("BASE_URL", "https://a:swordfish@b.example", "without user"),
    ("BASE_URL", "https://b.example:port", "must be an absolute http(s) URL"),
    ("BASE_URL", "https://b.example/?a=1", "without user, query and fragment"),
    ("DATABASE_URL", "postgres://u:swordfish@h/d", "must begin with postgresql+psycopg://"),
    ("DATABASE_URL", "postgresql://u:swordfish@h/d", "must begin with postgresql+psycopg://"),
    ("DATABASE_URL", "mysql://u:swordfish@h/d", "not mysql"),
    ("DATABASE_URL", "postgresql+psycopg://u:sword@fish@h:x/d", "%40"),
    ("DATABASE_URL", "sqlite://", "must name a file"),
    ("DATABASE_URL", "sqlite:///:memory:", "must name a file"),
    ("DATABASE_URL", "steward.sqlite3", "sqlite:///steward.sqlite3"),
    ("ENCRYPTION_KEYS", "swordfish", "`steward new-key` makes one"),
    ("ENCRYPTION_KEYS", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,swordfish", "number 2 of 2"),
    ("INSTALL_KEY_HOSTS", "keys.example.com", "must be an absolute http(s) URL"),
    ("INSTALL_KEY_HOSTS", ",", "must name at least one host"),
    ("ALLOWED_HOSTS", "*", "not a host pattern"),
    ("ALLOWED_HOSTS", "http://wiki.example.com", "plain http is for loopback only"),
    ("SMTP_URL", "http://u:swordfish@mail.example.com", "smtp://host:port"),
    ("SMTP_URL", "smtp://u:swordfish@mail.example.com?starttls=off", "a password needs encryption"),
    ("MAIL_FROM", "Steward", "one mailbox such as"),
    ("MAIL_EHLO", "my mail", "must be a host name"),
    ("MAIL_PER_MINUTE", "-1", "must be at least 0"),
    ("LEASE_SECONDS", "soon", "must be a number"),
    ("LEASE_SECONDS", "nan", "must be a number"),
    ("LEASE_SECONDS", "0", "must be at least 0.3"),
    ("RETRY_SECONDS", "inf", "must be a number"),
    ("TICK_SECONDS", "1e9", "must be at most 3600"),
    ("FIRST_RUN", "maybe", "must be 'hold' or 'start'"),
    ("ADDON_KEY", "a key", "must be 1 to 64 letters"),
    ("NAMESPACE", "My-Steward", "small letters and digits"),
    ("EMAIL_API", "yes", "must be 'off' or 'approved'"),
    ("AP_SCRIPT_URL", "all.js", "must be an absolute http(s) URL"),
    ("RUNNERS", "four", "must be a whole number"),
    ("RUNNERS", "1.5", "must be a whole number"),
    ("RUNNERS", "65", "must be at most 64"),
    ("QUOTA_POINTS", "9" * 5000, "must be"),
    ("DEFAULT_TIME_ZONE", "localtime", "must be a time zone"),
    ("DEFAULT_TIME_ZONE", "Europe/Berln", "did you mean Europe/Berlin?"),
    ("DEFAULT_TIME_ZONE", "New York", "did you mean America/New_York?"),
    ("DEFAULT_TIME_ZONE", "../etc/passwd", "must be a time zone"),
]


def _run(command: str, **environment: str) -> Result:
    return CliRunner().invoke(main, command.split(), env={f"STEWARD_{name}": v for name, v in environment.items()})


@pytest.mark.parametrize(("name", "value", "words"), BAD, ids=lambda part: str(part)[:40])
@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_a_wrong_setting_stops_the_start_and_its_variable_is_named(
    command: str, name: str, value: str, words: str
) -> None:
    answer = _run(command, **{"ENCRYPTION_KEYS": Fernet.generate_key().decode()} | {name: value})
    assert answer.exit_code == 1
    assert answer.output.startswith(f"Error: STEWARD_{name}")
    assert words in answer.output
    assert answer.output.count("\n") == 1
    for alien in ("swordfish", "pydantic", "Traceback", "Value error", "Input should"):
        assert alien not in answer.output


def test_every_setting_that_can_be_wrong_is_among_these() -> None:
    free = {"metrics_token", "personal_data_reporting", "stop_seconds", "call_threads", "erase_days", "retention_days"}
    """A bearer token may be any text; the others are limits and choices like those above."""
    assert {name.lower() for name, _, _ in BAD} | free == set(Settings.model_fields)


def test_all_mistakes_are_told_at_once() -> None:
    answer = _run("descriptor", RUNNERS="x", FIRST_RUN="y", BASE_URL="z")
    assert [line.split()[0] for line in answer.output.removeprefix("Error: ").splitlines()] == [
        "STEWARD_BASE_URL",
        "STEWARD_FIRST_RUN",
        "STEWARD_RUNNERS",
    ]


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert _run("descriptor", SMTP_URL="", RUNNERS="", BASE_URL="", MAIL_EHLO="").exit_code == 0


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ENCRYPTION_KEY", "ENCRYPTION_KEYS"),
        ("DEFAULT_TIMEZONE", "DEFAULT_TIME_ZONE"),
        ("TIMEZONE", "DEFAULT_TIME_ZONE"),
        ("MAILFROM", "MAIL_FROM"),
        ("BASEURL", "BASE_URL"),
        ("DATBASE_URL", "DATABASE_URL"),
        ("ALLOWED_HOST", "ALLOWED_HOSTS"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_one_that_was_meant(
    written: str, meant: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert _run("descriptor", **{written: "x"}).exit_code == 0
    line = f"STEWARD_{written} is no setting and is ignored; did you mean STEWARD_{meant}?"
    assert line in [vars(record).get("problem") for record in caplog.records]
    [told] = [each for each in _run("doctor", **{written: "x"}).output.splitlines() if "Settings: " in each]
    assert told.startswith("FAIL  ")
    assert line in told


def test_what_a_container_platform_adds_is_named_and_blamed_on_nobody() -> None:
    """Kubernetes gives such variables to every pod when a service is called steward."""
    names = ["STEWARD_PORT", "STEWARD_SERVICE_HOST", "STEWARD_SERVICE_PORT", "STEWARD_PORT_8080_TCP_ADDR"]
    assert strangers(dict.fromkeys([*names, "PATH", "steward_base_url"], "x")) == [
        f"{name} is no setting and is ignored" for name in sorted(names)
    ]


def test_a_new_key_is_one_that_the_server_takes() -> None:
    keys = [_run("new-key").output.strip() for _ in range(2)]
    assert keys[0] != keys[1]
    assert "2 configured" in _run("doctor", ENCRYPTION_KEYS=",".join(keys)).output


@pytest.mark.parametrize(
    ("base_url", "configured", "name"),
    [
        ("https://steward.example.com:8443/a", None, "steward.example.com"),
        ("http://127.0.0.1:8080", None, "[127.0.0.1]"),
        ("http://[::1]:8080", None, "[IPv6:::1]"),
        ("https://steward.example.com", "mail.example.com", "mail.example.com"),
    ],
)
def test_the_name_for_ehlo_is_the_host_of_the_base_url_unless_one_is_given(
    base_url: str, configured: str | None, name: str
) -> None:
    assert Settings(base_url=base_url, mail_ehlo=configured).ehlo == name


def test_a_variable_of_a_platform_is_a_note_of_the_doctor_and_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEWARD_TEST_REQUIRE", raising=False)
    answer = _run("doctor", PORT="tcp://10.0.0.1:80")
    line = "STEWARD_PORT is no setting and is ignored"
    assert [each for each in answer.output.splitlines() if "STEWARD_PORT" in each] == [f"note  Settings: {line}"]
    assert [record for record in caplog.records if vars(record).get("problem") == line] == []
