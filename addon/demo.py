"""The demo: the pretend site and the add-on in one process, on loopback only.

The add-on is installed through the real signed handshake, and everything after it goes over HTTP as the site's
administrator: the demo never reaches into the add-on.
"""

from __future__ import annotations

import errno
import json
import logging
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import click
import requests
from cryptography.fernet import Fernet
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from waitress import wasyncore

from addon.app import create_app, stop
from addon.base import SystemClock, seconds_since
from addon.config import Settings
from addon.sandbox import ADMIN, DOMAIN, Inbox, SandboxServer, Site, seed_demo, seed_sized
from addon.server import create_server

HOST = "127.0.0.1"
REFRESH = "refresh-statuses"
AUTOMATIONS = "execute-automations"
TERMINAL = ("successful", "failed", "cancelled")
POLL_SECONDS = 0.25
PAGES_PER_SPACE = 50


class DemoFailed(click.ClickException):
    """The demo cannot continue; the message says why."""


class Demo:
    """A running pretend site with the running add-on installed, as its administrator uses it over HTTP."""

    def __init__(self, site: Site, inbox: Inbox, site_url: str, addon_url: str) -> None:
        self.site = site
        self.inbox = inbox
        self.site_url = site_url
        self.addon_url = addon_url
        self._session = requests.Session()
        self._session.trust_env = False

    def install(self) -> None:
        """Let the site install the add-on: descriptor, install key, signed call. Raises DemoFailed."""
        answer = self._session.post(
            f"{self.site_url}/sandbox/install",
            json={"descriptorUrl": f"{self.addon_url}/atlassian-connect.json"},
            timeout=60,
        )
        if not answer.ok:
            raise DemoFailed(f"the site refused the installation: {answer.text}")

    def call(self, method: str, path: str, *, account: str = ADMIN, **options: Any) -> requests.Response:
        """Call the add-on's JSON API as a person of the site, with a context token that the site makes."""
        asked = self._session.get(f"{self.site_url}/sandbox/context-token", params={"account": account}, timeout=60)
        headers = {"Authorization": f"JWT {asked.json()['token']}", **options.pop("headers", {})}
        return self._session.request(method, f"{self.addon_url}{path}", headers=headers, timeout=60, **options)

    def switch_on(self, *, schedules: bool) -> None:
        """Enable the shipped notification rule and automation; without `schedules` nothing starts by schedule.

        With them the byline of every page shows its status, which a real site has to ask for.
        Raises DemoFailed when the add-on refuses.
        """
        policies = _json(self.call("GET", "/api/policies"))
        for scheme in policies["notificationSchemes"]:
            for rule in scheme["rules"]:
                rule["enabled"] = True
        for scheme in policies["automationSchemes"]:
            for automation in scheme["automations"]:
                automation["enabled"] = True
        policies["indicator"] = {"on": schedules, "spaces": []}
        if not schedules:
            policies["schedules"]["hold"] |= {"on": True, "reason": "One job is run by hand."}
        _json(self.call("PUT", "/api/policies", json=policies, headers={"If-Match": f'"{policies["version"]}"'}))

    def start(self, job: str) -> dict[str, Any]:
        """Start a job over the whole site; return the execution. Raises DemoFailed when the add-on refuses."""
        return _json(self.call("POST", "/api/executions", json={"job": job, "scope": "site"}))

    def finish(self, execution: Mapping[str, Any], shown: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Watch an execution to its end, passing each look at it to `shown`; return the last one."""
        pause = threading.Event()
        while True:
            seen = _json(self.call("GET", f"/api/executions/{execution['id']}"))
            shown(seen)
            if seen["status"] in TERMINAL:
                return seen
            pause.wait(POLL_SECONDS)


def run_demo(
    *,
    port: int = 8090,
    latency_ms: int = 0,
    spaces: int | None = None,
    pages: int | None = None,
    data: Path | None = None,
) -> None:
    """Run the pretend site with the add-on installed until interrupted; print the URL to open.

    `port` is the site's (another one is taken when it is in use), `latency_ms` is waited at each REST call, `spaces`
    and `pages` ask for a site of that size instead of the small company, `data` keeps the add-on's database.
    """
    stopping = threading.Event()
    with _signals(stopping), running_demo(port=port, seed=_seeder(spaces, pages), data=data) as demo:
        demo.switch_on(schedules=True)
        demo.site.latency_ms = latency_ms
        addon, space = next(iter(demo.site.addons)), demo.site.spaces()[0]
        click.echo(f"Open {demo.site_url}/wiki/home")
        click.echo(f"  Jobs of the site    {demo.site_url}/wiki/plugins/servlet/ac/{addon}/site-jobs")
        click.echo(f"  Jobs of one space   {demo.site_url}/wiki/spaces/{space.key}/settings/integrations/space-jobs")
        click.echo(f"  Inbox               {demo.site_url}/sandbox/inbox")
        click.echo("Everything stays on this machine. Ctrl+C stops it.")
        stopping.wait()
        click.echo("Stopping.")


def run_once(job: str, *, spaces: int | None, pages: int | None, latency_ms: int, as_json: bool) -> int:
    """Run one job on a fresh site and print its result; return the exit status, 0 only when it was successful.

    What the job needs to find something (a refresh before the other two) is run first and not counted.
    """
    if logging.getLogger().getEffectiveLevel() == logging.INFO:
        logging.getLogger().setLevel(logging.WARNING)
    seed = _seeder(spaces, pages, stamped=job == AUTOMATIONS)
    with running_demo(port=0, seed=seed, data=None) as demo:
        demo.switch_on(schedules=False)
        if job != REFRESH:
            before = _watched(demo, REFRESH, f"first {REFRESH}")
            if before["status"] != "successful":
                raise DemoFailed(f"the refresh before it ended {before['status']}: {_reasons(before)}")
        demo.site.latency_ms = latency_ms
        result = _watched(demo, job, job)
        demo.site.latency_ms = 0
        if as_json:
            click.echo(json.dumps(_summary(result)))
        else:
            _print_table(result)
    return 0 if result["status"] == "successful" else 1


def _seeder(spaces: int | None, pages: int | None, *, stamped: bool = False) -> Callable[[Site, str], None]:
    if spaces is None and pages is None:
        return lambda site, namespace: seed_demo(site, namespace=namespace)
    contents = pages if pages is not None else (spaces or 1) * PAGES_PER_SPACE
    count = spaces if spaces is not None else max(contents // PAGES_PER_SPACE, 1)
    if contents < count:
        raise DemoFailed(f"{count} spaces need at least {count} pages: each has a home page")
    return lambda site, namespace: seed_sized(site, spaces=count, pages=contents, stamped=stamped, namespace=namespace)


@contextmanager
def running_demo(
    *, port: int = 0, seed: Callable[[Site, str], None] | None = None, data: Path | None = None
) -> Iterator[Demo]:
    """Bring up inbox, site and add-on, installed; shut all of it down in the opposite order.

    `port` is the site's, 0 for a free one; `seed` fills the site, given it and the add-on's namespace; `data` is
    where the add-on's database stays, None for a temporary folder.
    """
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        kept = _kept(folder)
        site = Site(SystemClock())
        site.host.client_key = kept["clientKey"]
        inbox = site.inbox = stack.enter_context(Inbox(site.people.by_email))
        server = stack.enter_context(_site_server(site, port))
        listening = socket.create_server((HOST, 0))
        addon_url = f"http://{HOST}:{listening.getsockname()[1]}"
        settings = _settings(folder, kept["encryptionKey"], addon_url, server.url, inbox.smtp_url)
        (seed or _seeder(None, None))(site, settings.namespace)
        app = create_app(settings, start=True)
        stack.callback(stop, app)
        stack.enter_context(_served(app, listening))
        demo = Demo(site, inbox, server.url, addon_url)
        demo.install()
        yield demo


def _kept(folder: Path) -> dict[str, str]:
    """Return what has to stay the same for a kept database: its encryption key, and who the site says it is."""
    path = folder / "demo.json"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(
            json.dumps({"encryptionKey": Fernet.generate_key().decode(), "clientKey": secrets.token_hex(16)})
        )
    return dict(json.loads(path.read_text()))


def _settings(folder: Path, key: str, addon_url: str, site_url: str, smtp_url: str) -> Settings:
    return Settings(
        base_url=addon_url,
        database_url=f"sqlite:///{folder / 'steward.sqlite3'}",
        encryption_keys=(key,),
        install_key_hosts=(f"{site_url}/install-keys",),
        allowed_hosts=(f"http://{HOST}:*",),
        smtp_url=smtp_url,
        mail_from=f"Content Steward <steward@{DOMAIN}>",
        first_run="start",
        ap_script_url=f"{site_url}/sandbox/all.js",
    )


def _site_server(site: Site, port: int) -> SandboxServer:
    try:
        return SandboxServer(site, port=port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        click.echo(f"Port {port} is in use, taking another.", err=True)
        return SandboxServer(site)


@contextmanager
def _served(app: Any, listening: socket.socket) -> Iterator[None]:
    connections: dict[int, Any] = {}
    stopping = threading.Event()
    server = create_server(app, map=connections, sockets=[listening], threads=16)

    def serve() -> None:
        while not stopping.is_set():
            wasyncore.loop(timeout=1, use_poll=True, map=connections, count=1)
        server.task_dispatcher.shutdown()
        wasyncore.close_all(connections)

    thread = threading.Thread(target=serve, name="add-on", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        # Awake already, the loop may have ended and closed its trigger in between.
        with suppress(OSError):
            server.pull_trigger()
        thread.join(10)


@contextmanager
def _signals(stopping: threading.Event) -> Iterator[None]:
    """Let INT and TERM set `stopping`; a second one ends the process at once."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_DFL)
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _json(answer: requests.Response) -> dict[str, Any]:
    if not answer.ok:
        raise DemoFailed(
            f"{answer.request.method} {answer.request.path_url} answered {answer.status_code}: {answer.text}"
        )
    return dict(answer.json())


def _watched(demo: Demo, job: str, name: str) -> dict[str, Any]:
    """Start a job and show its progress on the standard error until it ends; return the execution."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        TextColumn("{task.percentage:>3.0f} % {task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=None, note="")

        def show(seen: dict[str, Any]) -> None:
            state, paused = seen["progress"], seen.get("paused")
            failed, total = state["spacesFailed"], state["spacesTotal"]
            note = f"{state['spacesDone'] + failed} of {total} spaces " if total else ""
            note += f"{failed} failed " if failed else ""
            note += f"paused: {paused['reason']}" if paused else seen["status"]
            progress.update(task, completed=state["percent"], total=100 if total else None, note=note)

        return demo.finish(demo.start(job), show)


def _summary(execution: Mapping[str, Any]) -> dict[str, Any]:
    metrics = execution["metrics"] or {}
    started, ended = (datetime.fromisoformat(execution[name]) for name in ("startedAt", "endedAt"))
    return {
        "status": execution["status"],
        "metrics": metrics,
        "calls": metrics.get("calls", execution["calls"]),
        "points": metrics.get("points", execution["points"]),
        "seconds": round(seconds_since(started, ended), 3),
    }


def _reasons(execution: Mapping[str, Any]) -> str:
    failures = [f"{failed['spaceKey']}: {failed['reason']}" for failed in execution.get("failures", ())]
    return "; ".join([*failures, *([execution["error"]] if execution.get("error") else [])]) or "no reason given"


def _print_table(execution: Mapping[str, Any]) -> None:
    summary = _summary(execution)
    table = Table(title=f"{execution['title']}: {summary['status'].upper()} in {summary['seconds']:g} s", min_width=48)
    table.add_column("Metric")
    table.add_column("Value", justify="right")
    for name, value in summary["metrics"].items():
        for label, number in value.items() if isinstance(value, Mapping) else ((None, value),):
            table.add_row(_words(name) if label is None else f"{_words(name)}: {label}", f"{number:,}")
    Console().print(table)
    if summary["status"] != "successful":
        click.echo(_reasons(execution), err=True)


def _words(name: str) -> str:
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return spaced.capitalize()
