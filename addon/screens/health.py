"""Liveness, readiness and the numbers of this process, for load balancers and Prometheus."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from addon import migrations
from addon.base import cause_of, get_logger, seconds_since
from addon.connect import admits, count_installations
from addon.engine import no_worker, queries, workers
from addon.mail import mails_by_state
from addon.parts import Parts
from addon.screens.problems import Problem

log = get_logger(__name__)


def blueprint(parts: Parts) -> Blueprint:
    """Return the public routes /healthz, /readyz and (with a token configured) /metrics."""
    routes = Blueprint("health", __name__)
    registry = CollectorRegistry()
    registry.register(Numbers(parts))

    @routes.get("/healthz")
    @admits("public")
    def healthz() -> Response:
        return jsonify({"status": "up"})

    @routes.get("/readyz")
    @admits("public")
    def readyz() -> tuple[Response, int]:
        checks = {"database": _database(parts)}
        checks["schema"] = _schema(parts) if checks["database"] == "ok" else "unknown"
        checks["scheduler"] = _scheduler(parts) if checks["schema"] == "ok" else "unknown"
        ready = all(found == "ok" for found in checks.values())
        checks["worker"] = _worker(parts) if checks["schema"] == "ok" else "unknown"
        # Screens work without a worker, and say that there is none: a load balancer should still send people here.
        status = "not ready" if not ready else "ready" if checks["worker"] == "ok" else "no worker"
        return jsonify({"status": status, "checks": checks}), 200 if ready else 503

    @routes.get("/metrics")
    @admits("public")
    def metrics() -> Response:
        token = parts.settings.metrics_token
        if token is None:
            raise Problem(404, "not-found", "Metrics are off: set STEWARD_METRICS_TOKEN to switch them on.")
        given = request.headers.get("Authorization", "")
        wanted = f"Bearer {token.get_secret_value()}"
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            raise Problem(401, "unauthorized", "Metrics need the bearer token that is configured.")
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    del healthz, readyz, metrics
    return routes


def _database(parts: Parts) -> str:
    try:
        with parts.db.read_all() as session:
            session.execute(sa.select(sa.literal(1)))
    except sa.exc.SQLAlchemyError as error:
        log.warning("the database does not answer", action="database_silent", error=cause_of(error))
        return "no answer"
    return "ok"


def _schema(parts: Parts) -> str:
    try:
        migrations.require_current(parts.db)
    except migrations.SchemaOutdated as error:
        return str(error)
    return "ok"


def _scheduler(parts: Parts) -> str:
    """A process that ticks beats its row of `worker`; on SQLite that is this one, otherwise any will do."""
    with parts.db.read_all() as session:
        last = _last_beat(session, parts)
    if last is None:
        return "no process runs schedules"
    silent = seconds_since(last, parts.clock.now())
    return "ok" if silent <= 2 * parts.settings.lease_seconds else f"no heartbeat for {silent:.0f} seconds"


def _worker(parts: Parts) -> str:
    with parts.db.read_all() as session:
        return no_worker(session, parts.clock.now(), parts.settings.lease_seconds) or "ok"


def _last_beat(session: Session, parts: Parts) -> datetime | None:
    """Return when a process last beat. What lies in the future was written by a clock that was wrong."""
    latest = parts.clock.now() + timedelta(seconds=2 * parts.settings.lease_seconds)
    return queries.last_heartbeat(session, latest)


class Numbers(Collector):
    """What /metrics shows, read from the database when it is asked."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterable[Metric]:
        """Yield the numbers of the whole installation, over all tenants."""
        now = self._parts.clock.now()
        with self._parts.db.read_all() as session:
            engine = queries.numbers(session, now)
            sites = count_installations(session)
            values = {
                "steward_executions_paused": ("Executions that wait", engine.paused),
                "steward_retries_waiting": ("Retries that wait", engine.retries_waiting),
                "steward_schedules_due": ("Slots that wait for a free lane", engine.schedules_due),
            }
            mails = mails_by_state(session)
            running = workers(session, now, self._parts.settings.lease_seconds)

            beat = _last_beat(session, self._parts)
        runs = GaugeMetricFamily("steward_executions", "Executions kept, by job and status", labels=["job", "status"])
        for (job, status), number in engine.executions.items():
            runs.add_metric([job, status], number)
        yield runs
        outbox = GaugeMetricFamily("steward_mails", "Mails in the outbox, by state", labels=["state"])
        for state, number in mails.items():
            outbox.add_metric([state], number)
        yield outbox
        yield GaugeMetricFamily("steward_tenants_installed", "Sites with the add-on", value=sites.installed)
        yield GaugeMetricFamily("steward_tenants_unreachable", "Sites to install again", value=sites.unreachable)
        for name, (text, value) in values.items():
            yield GaugeMetricFamily(name, text, value=value)
        yield GaugeMetricFamily("steward_workers", "Processes that run executions", value=running)
        if beat is not None:
            age = seconds_since(beat, now)
            yield GaugeMetricFamily("steward_heartbeat_age_seconds", "Since a worker last beat", value=age)
