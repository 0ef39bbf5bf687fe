"""The application: the one place that puts all parts together, starts them and stops them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from cryptography.fernet import Fernet
from flask import Flask

from addon import migrations
from addon.base import Clock, Database, SecretBox, SystemClock, TenantId, get_logger
from addon.config import Settings
from addon.confluence import Confluence, Permissions, rights_changes
from addon.confluence.cql import CqlRefused, check_administrators_cql
from addon.connect import InstallKeys, Tenants, check_routes, install_boundary, lifecycle_blueprint, webhook_blueprint
from addon.engine import Dispatcher, Engine, EngineSettings, Metronome, Tick
from addon.jobs import JobSettings, build_jobs, mail_addresses
from addon.listeners import LifecycleEffects, SiteEvents
from addon.mail import Mailer, Renderer, SmtpTransport
from addon.maintenance import housekeeping
from addon.parts import Parts
from addon.policies import Policies
from addon.screens import register
from descriptor import descriptor_blueprint

log = get_logger(__name__)

EXTENSION = "steward"
METRONOME = "steward_metronome"
STOPPING = "steward_stopping"
WAKES = "steward_wakes"
OUTBOX_SECONDS = 30.0
WAKES_SECONDS = 5.0
LEAST_PATIENCE = 10.0
"""Seconds that a statement waits for the database at least; otherwise half a lease, so that one dead connection
leaves a heartbeat the time for a second attempt."""
OUTBOX_LIMIT = 8.0
"""Seconds after which the tick begins no further mail: a stop waits for ticks at work."""


def create_app(
    settings: Settings | None = None, *, clock: Clock | None = None, start: bool = False, web_threads: int = 16
) -> Flask:
    """Build the add-on.

    Parameters: `settings` come from the environment when not given; `clock` is the machine's when not given; `start`
    takes the database's lock and begins to tick and to run jobs (end with `stop`); `web_threads` is how many requests
    the server answers at once.

    On SQLite the schema is migrated here. Raises migrations.SchemaOutdated on any other database that is not up to
    date, engine.LockTaken when another process holds the SQLite file, ValueError on malformed settings.
    """
    settings = settings or Settings()
    parts = _parts(settings, clock or SystemClock(), web_threads)
    if parts.db.is_sqlite:
        migrations.upgrade(parts.db)
    else:
        migrations.require_current(parts.db)
    app = Flask("addon", static_folder=None)
    app.extensions[EXTENSION] = parts
    install_boundary(app, parts.tenants, settings, parts.clock)
    app.register_blueprint(descriptor_blueprint(settings))
    app.register_blueprint(
        lifecycle_blueprint(
            db=parts.db,
            tenants=parts.tenants,
            keys=InstallKeys(settings.install_key_hosts, parts.clock),
            clock=parts.clock,
            settings=settings,
            listener=LifecycleEffects(
                parts.engine, parts.policies, parts.mailer, first_run_hold=settings.first_run == "hold"
            ),
        )
    )
    app.register_blueprint(webhook_blueprint(SiteEvents(parts.db, parts.clock)))
    register(app, parts)
    check_routes(app)
    if start:
        _begin(app, parts)
    return app


def stop(app: Flask) -> bool:
    """Stop ticking and working: runs stop at their next check point and are handed over, within `stop_seconds`.

    Return whether all have stopped; the leases of the others will expire.
    """
    parts = parts_of(app)
    stopped = True
    metronome = app.extensions.pop(METRONOME, None)
    if metronome is not None:
        # A stop waits for ticks at work, so the runs hear of it first and the sending of mails is broken off.
        parts.engine.drain()
        app.extensions[STOPPING].set()
        metronome.stop()
        stopped = parts.engine.shutdown(parts.settings.stop_seconds)
    wakes = app.extensions.pop(WAKES, None)
    if wakes is not None:
        stopped = wakes.stop(WAKES_SECONDS) and stopped
    parts.mailer.renderer.close()
    parts.confluence.close()
    parts.db.dispose()
    return stopped


def _begin(app: Flask, parts: Parts) -> None:
    parts.engine.boot()
    parts.mailer.boot()
    addresses = mail_addresses(parts.confluence)
    stopping = app.extensions[STOPPING] = threading.Event()

    def before_each() -> None:
        if stopping.is_set():
            raise _Stopping

    def send_leftovers() -> None:
        try:
            parts.mailer.send_due(addresses=addresses, before_each=before_each, seconds=OUTBOX_LIMIT)
        except _Stopping:
            log.info("the rest of the mails waits for the next process", action="mail_loop_stopped")

    outbox = Tick("outbox", OUTBOX_SECONDS, send_leftovers, OUTBOX_SECONDS / 10)
    ticks = [*parts.engine.ticks(), outbox, *housekeeping(parts)]
    if migrations.scaled(parts.db):
        from addon.engine.scale import WakeWorker

        if parts.settings.runners:
            wakes = WakeWorker(parts.db, parts.clock, parts.engine.run_one, parts.settings.runners)
            wakes.start()
            app.extensions[WAKES] = wakes
    metronome = Metronome(ticks)
    metronome.start()
    app.extensions[METRONOME] = metronome


class _Stopping(Exception):
    """The process stops; the mails that were not begun are given back."""


def parts_of(app: Flask) -> Parts:
    """Return the parts that `create_app` built for `app`."""
    return cast(Parts, app.extensions[EXTENSION])


def _parts(settings: Settings, clock: Clock, web_threads: int) -> Parts:
    release = _release()
    patience = max(LEAST_PATIENCE, settings.lease_seconds / 2)
    db = Database(settings.database_url, pool_size=settings.runners + 24, patience=patience)
    # Without a configured key nothing stored here outlives the process: good for a look, refused by `steward serve`.
    keys = settings.encryption_keys or (Fernet.generate_key().decode(),)
    tenants = Tenants(db, SecretBox(keys), clock, addon_key=settings.addon_key)
    confluence = Confluence(
        tenants,
        db,
        clock,
        namespace=settings.namespace,
        quota_points=settings.quota_points,
        email_api=settings.email_api == "approved",
        user_agent=f"content-steward/{release}",
        web_threads=web_threads,
    )

    def known_changes(tenant_id: TenantId) -> int:
        with db.read(tenant_id) as session:
            return rights_changes(session, tenant_id)

    mailer = _mailer(settings, clock, db)
    policies = _policies(settings, clock, mailer.renderer)
    jobs = build_jobs(
        confluence=confluence,
        policies=policies,
        mailer=mailer,
        db=db,
        clock=clock,
        settings=JobSettings(namespace=settings.namespace, base_url=settings.base_url),
    )
    engine = Engine(
        db,
        clock,
        EngineSettings(
            ttl=settings.lease_seconds,
            runners=settings.runners,
            call_threads=settings.call_threads,
            retry_seconds=settings.retry_seconds,
            tick_seconds=settings.tick_seconds,
            version=release,
        ),
        jobs,
        dispatcher=_dispatcher(db),
        policy_version=policies.version,
    )
    return Parts(
        settings=settings,
        clock=clock,
        db=db,
        tenants=tenants,
        confluence=confluence,
        permissions=Permissions(confluence, clock, changes=known_changes),
        policies=policies,
        engine=engine,
        mailer=mailer,
    )


def _mailer(settings: Settings, clock: Clock, db: Database) -> Mailer:
    transport = None
    if settings.smtp_url:
        transport = SmtpTransport.from_url(settings.smtp_url.get_secret_value(), hello=settings.ehlo)
    return Mailer(db, clock, transport, settings.mail_from, per_minute=settings.mail_per_minute, renderer=Renderer())


def _policies(settings: Settings, clock: Clock, renderer: Renderer) -> Policies:
    def check_cql(text: str, allow_aliases: bool) -> tuple[str, Sequence[str]]:
        try:
            checked = check_administrators_cql(text, namespace=settings.namespace, allow_aliases=allow_aliases)
        except CqlRefused as error:
            raise ValueError(error.reason) from error
        return checked.cql, checked.notices

    return Policies(
        clock,
        settings.namespace,
        time_zone=settings.default_time_zone,
        first_run=settings.first_run,
        check_cql=check_cql,
        check_templates=renderer.check,
    )


def _dispatcher(db: Database) -> Dispatcher | None:
    """Without the extra `scale` other processes find work by their reaper ticks, a sixth of the lease apart."""
    if not migrations.scaled(db):
        return None
    from addon.engine.scale import ProcrastinateDispatcher

    return ProcrastinateDispatcher()


def _release() -> str:
    try:
        return version("content-steward")
    except PackageNotFoundError:
        return "0"
