"""The `steward` command: serve, work, migrate, look after, and show."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import click

from addon.base import configure, get_logger
from addon.config import Settings, SettingsMistaken, read, strangers

JOBS = ("refresh-statuses", "send-notifications", "execute-automations")

log = get_logger(__name__)


@click.group()
@click.option("--verbose", is_flag=True, help="Log more.")
@click.version_option(package_name="content-steward")
def main(verbose: bool) -> None:
    """Keep a Confluence Cloud site's content fresh."""
    configure(verbose=verbose)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option("--threads", default=16, show_default=True, type=click.IntRange(1, 256), help="Web threads.")
@click.option("--connections", default=1000, show_default=True, type=click.IntRange(10, 100_000), help="At once.")
@click.option(
    "--idle-seconds", default=60.0, show_default=True, type=click.FloatRange(1, 3600), help="Without a request."
)
@click.option(
    "--request-seconds", default=30.0, show_default=True, type=click.FloatRange(1, 3600), help="To send one, in all."
)
@click.option("--work", is_flag=True, help="On PostgreSQL: run jobs in this process too, not in workers only.")
def serve(
    host: str, port: int, threads: int, connections: int, idle_seconds: float, request_seconds: float, work: bool
) -> None:
    """Serve the screens and the API and run the ticks; on SQLite, and with --work, run the jobs too."""
    from addon.app import create_app, stop
    from addon.server import Limits, create_server, room_for

    settings = _settings()
    _require_keys(settings)
    if not (work or settings.database_url.startswith("sqlite")):
        settings = settings.model_copy(update={"runners": 0})
    app = _starting(lambda: create_app(settings, start=True, web_threads=threads))
    room = room_for(connections)
    if room < connections:
        log.warning(
            "fewer connections: the system lets this process open too few files (ulimit -n)",
            action="connections_limited",
            connections=room,
        )
    limits = Limits(room, idle_seconds, request_seconds)
    try:
        server = create_server(app, limits=limits, host=host, port=port, threads=threads)
    except OSError as error:
        _leave(stopped=stop(app))
        raise click.ClickException(f"--host {host} --port {port}: {error.strerror or error}") from error
    click.echo(f"Content Steward on http://{host}:{server.effective_port}, reached by hosts at {settings.base_url}")
    _run_until_told(server.run)
    _leave(stopped=stop(app))


@main.command()
def worker() -> None:
    """Run jobs and ticks without the web, on PostgreSQL."""
    from addon.app import create_app, stop

    settings = _settings()
    if settings.database_url.startswith("sqlite"):
        raise click.ClickException(
            "SQLite is one process by contract, and `steward serve` is that process: it runs the jobs too. "
            "Use PostgreSQL (STEWARD_DATABASE_URL) to run workers as well."
        )
    _require_keys(settings)
    app = _starting(lambda: create_app(settings, start=True))
    click.echo("Content Steward worker is running.")
    _run_until_told(signal.pause)
    _leave(stopped=stop(app))


@main.command()
def migrate() -> None:
    """Bring the database's schema to this version."""
    from addon import migrations
    from addon.base import Database

    db = Database(_settings().database_url, patience=None)

    def upgrade() -> tuple[str | None, str]:
        return migrations.revision(db), migrations.upgrade(db)

    before, after = _starting(upgrade)
    db.dispose()
    click.echo(f"Schema at revision {after}" + (", as before." if before == after else f" (was {before or 'empty'})."))


@main.command()
@click.option("--base-url", help="Fill in this base URL instead of STEWARD_BASE_URL.")
def descriptor(base_url: str | None) -> None:
    """Print the Connect descriptor that hosts install."""
    from descriptor import build

    overrides = {"base_url": base_url} if base_url else {}
    click.echo(json.dumps(build(_settings(**overrides)), indent=2))


@main.command()
@click.option("--mail-to", metavar="ADDRESS", help="Begin a mail to this address and take it back; nothing is sent.")
def doctor(mail_to: str | None) -> None:
    """Check the settings, the database, the keys and the mail transport; exit 1 if something needs attention."""
    from addon.doctor import examine

    findings = examine(_read_settings(), mail_to=mail_to)
    for finding in findings:
        mark = "note" if finding.note else "ok  " if finding.ok else "FAIL"
        click.echo(f"{mark}  {finding.subject}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@main.command("new-key")
def new_key() -> None:
    """Print a fresh key for STEWARD_ENCRYPTION_KEYS."""
    from cryptography.fernet import Fernet

    click.echo(Fernet.generate_key().decode())


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy the SQLite database to FILE, also while the server runs."""
    from addon.base import Database
    from addon.maintenance import CannotBackUp, back_up

    db = Database(_settings().database_url)
    try:
        size = back_up(db, file)
    except CannotBackUp as error:
        raise click.ClickException(str(error)) from error
    finally:
        db.dispose()
    click.echo(f"{file}: {size:,} bytes. The encryption keys are not in it: keep them elsewhere.")


@main.command("after-restore")
@click.confirmation_option(
    prompt="Have all `steward serve` and `steward worker` processes on this database been stopped?"
)
def after_restore() -> None:
    """Make a restored database ready: what was under way or waited to be sent may have been done since the backup."""
    from addon import maintenance
    from addon.app import create_app, parts_of, stop

    settings = _settings()
    _require_keys(settings)
    app = _starting(lambda: create_app(settings))
    ended = maintenance.after_restore(parts_of(app))
    stop(app)
    click.echo(f"{ended.executions} executions cancelled, {ended.mails} unsent mails dropped. Start the server.")


@main.command("rotate-keys")
def rotate_keys() -> None:
    """Seal every stored shared secret again, with the newest encryption key."""
    from addon.base import Database, SecretBox, SecretUnreadable, SystemClock
    from addon.connect import Tenants
    from addon.migrations import SchemaOutdated, require_current

    settings = _settings()
    _require_keys(settings)
    db = Database(settings.database_url)
    try:
        require_current(db)
        tenants = Tenants(db, SecretBox(settings.encryption_keys), SystemClock(), addon_key=settings.addon_key)
        count = tenants.rotate_secrets()
    except SecretUnreadable as error:
        raise click.ClickException(
            "A stored secret fits none of the keys in STEWARD_ENCRYPTION_KEYS, so nothing was changed. "
            "Put the missing key behind the newest one and try again."
        ) from error
    except (SchemaOutdated, ValueError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        db.dispose()
    others = len(settings.encryption_keys) - 1
    click.echo(
        f"{count} shared secret{'' if count == 1 else 's'} sealed with the newest key; "
        f"{others} older key{'' if others == 1 else 's'} can be removed from STEWARD_ENCRYPTION_KEYS."
    )


@main.command()
@click.option("--once", "job", type=click.Choice(JOBS), help="Run one job in the terminal, without a browser.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print one JSON object.")
@click.option("--spaces", type=click.IntRange(1, 5000), help="With --once: how many spaces the site has.")
@click.option("--pages", type=click.IntRange(1, 2_000_000), help="With --once: how many pages and blog posts in all.")
@click.option("--latency-ms", type=click.IntRange(0, 10_000), default=0, help="How long the site takes to answer.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65535), help="The pretend site's port.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the add-on's database here.")
@click.pass_context
def demo(
    context: click.Context,
    job: str | None,
    as_json: bool,
    spaces: int | None,
    pages: int | None,
    latency_ms: int,
    port: int,
    data: Path | None,
) -> None:
    """Run a pretend Confluence site with the add-on installed, on loopback; needs the extra `demo`."""
    if not (find_spec("aiosmtpd") and find_spec("rich")):
        raise click.ClickException("The demo needs more than a server does: install the extra, '.[demo]'.")
    from addon.demo import run_demo, run_once

    # Tell what is wrong with the environment's settings before anything starts: the demo takes those it does not set.
    _settings()
    if job is None:
        if as_json:
            raise click.UsageError("--json goes with --once")
        run_demo(port=port, latency_ms=latency_ms, spaces=spaces, pages=pages, data=data)
        return
    if as_json:
        logging.getLogger().setLevel(logging.ERROR)
    context.exit(run_once(job, spaces=spaces, pages=pages, latency_ms=latency_ms, as_json=as_json))


def _settings(**overrides: Any) -> Settings:
    for line in strangers():
        log.warning("a variable is none of the settings", action="setting_unknown", problem=line)
    return _read_settings(**overrides)


def _read_settings(**overrides: Any) -> Settings:
    from addon.parts import mistakes

    try:
        settings = read(**overrides)
    except SettingsMistaken as error:
        raise click.ClickException(str(error)) from error
    if lines := mistakes(settings):
        raise click.ClickException("\n".join(lines))
    return settings


def _require_keys(settings: Settings) -> None:
    if not settings.encryption_keys:
        raise click.ClickException(
            "STEWARD_ENCRYPTION_KEYS is not set: shared secrets are stored encrypted only. "
            "Make a key with `steward new-key`, keep it where backups do not go, and set the variable to it."
        )


def _starting(start: Callable[[], Any]) -> Any:
    """Start the add-on; exit 3 when another process holds the database, 1 with the reason otherwise."""
    from sqlalchemy.exc import DBAPIError

    from addon.engine import LockTaken
    from addon.migrations import SchemaOutdated

    try:
        return start()
    except LockTaken as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(3)
    except (SchemaOutdated, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        log.debug("the database cannot be used at the start", action="start_failed", exc_info=error)
        raise click.ClickException(f"STEWARD_DATABASE_URL: the database cannot be used now: {error.orig}") from error


def _run_until_told(run: Callable[[], object]) -> None:
    """Run until TERM or INT; a second signal ends the process at once, the leases do the rest."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    try:
        run()
    except SystemExit:
        log.info("the process is stopping", action="stop")


def _leave(*, stopped: bool) -> None:
    """Leave at once when a call hangs: the interpreter would wait for its thread, which no lease needs."""
    if not stopped:
        logging.shutdown()
        os._exit(0)
