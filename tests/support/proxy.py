"""A TCP proxy on loopback that loses what passes it: connections cut with a reset, or half open for ever."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes on to a port of this machine until it is told otherwise. Two threads per connection."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._silent: set[socket.socket] = set()
        self._dead_end = False
        self._accepting = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._accepting.start()

    def cut(self) -> int:
        """Reset all connections, on both sides; return how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.shutdown(socket.SHUT_RD)
                end.close()
        return len(pairs)

    def swallow(self, *, new: bool = False) -> int:
        """Take what the present connections send and pass nothing on, in neither direction, for ever.

        `new`: as well of those that are opened until `heal`. Return how many connections there are.
        """
        with self._lock:
            for pair in self._pairs:
                self._silent.update(pair)
            self._dead_end = new
            return len(self._pairs)

    def heal(self) -> None:
        """Let new connections work again."""
        self._dead_end = False

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.append((client, server))
                if self._dead_end:
                    self._silent.update((client, server))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source not in self._silent:
                    sink.sendall(data)
        # A silent connection stays open: nobody is told that the other side has gone.
        if source not in self._silent:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)


@contextmanager
def proxy_before(port: int) -> Iterator[Proxy]:
    """A proxy before a server on this machine."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
