"""The server of a site: one Flask application, and waitress on a free loopback port."""

from __future__ import annotations

import importlib
import importlib.util
import socket
import threading
from types import TracebackType
from typing import Any

from flask import Flask, Response, abort
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import WSGITask

from addon.sandbox import control, rest_v1, rest_v2
from addon.sandbox.http import Rest
from addon.sandbox.site import Site

THREADS = 16


def create_sandbox(site: Site) -> Flask:
    """Return the site as a WSGI application: REST v1 and v2, install keys, control API, and the browser side."""
    app = Flask("addon.sandbox")
    app.config["MAX_CONTENT_LENGTH"] = 5 * 1024 * 1024
    app.extensions["site"] = site
    app.before_request(control.only_loopback)
    rest = Rest(site)
    rest_v2.register(rest)
    rest_v1.register(rest)
    app.register_blueprint(rest.blueprint)
    app.register_blueprint(control.blueprint(site))

    @app.get("/install-keys/<kid>")
    def install_key(kid: str) -> Response:
        pem = site.host.public_key(kid)
        if pem is None:
            abort(404)
        return Response(pem, content_type="text/plain")

    ui = _browser_side()
    if ui is not None:
        app.register_blueprint(ui.blueprint(site))
    return app


def _browser_side() -> Any:
    """Return the package of the browser side, or None where it is not installed."""
    if importlib.util.find_spec("addon.sandbox.ui") is None:
        return None
    ui = importlib.import_module("addon.sandbox.ui")
    return ui if hasattr(ui, "blueprint") else None


class _Task(WSGITask):  # type: ignore[misc]
    """Gives requests the means to cut their own connection, for the `drop` fault."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        connection = self.channel.socket

        def cut() -> None:
            connection.shutdown(socket.SHUT_RDWR)

        environ["sandbox.cut"] = cut
        return environ


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task


class SandboxServer:
    """Serves a site on loopback; sets the site's base URL to its address.

    Use as a context manager, or `start` and `stop`. `port` 0 takes a free one.
    """

    def __init__(self, site: Site, *, host: str = "127.0.0.1", port: int = 0, threads: int = THREADS) -> None:
        self.site = site
        self._sockets: dict[int, Any] = {}
        self._server = create_server(
            create_sandbox(site), map=self._sockets, host=host, port=port, threads=threads, backlog=256,
            channel_timeout=600, clear_untrusted_proxy_headers=True,
        )  # fmt: skip
        self._server.channel_class = _Channel
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)
        self.url = f"http://{host}:{self._server.effective_port}"
        site.base_url = self.url

    def start(self) -> SandboxServer:
        """Begin to answer requests."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Release what hangs, stop answering and wait for the threads."""
        self.site.faults.clear()
        if not self._thread.is_alive():
            self._close()
            return
        self._stopping.set()
        self._server.pull_trigger()
        self._woken.set()
        self._thread.join(10)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            wasyncore.loop(timeout=1, use_poll=True, map=self._sockets, count=1)
        # Only the thread that polls may close: a socket closed under it is a bad file descriptor. It may see the event
        # before the trigger is pulled, which must still be open then.
        self._woken.wait(10)
        self._close()

    def _close(self) -> None:
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)

    def __enter__(self) -> SandboxServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
