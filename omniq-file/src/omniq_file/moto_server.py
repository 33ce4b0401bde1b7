"""Run an S3 server for tests, which answers one request at a time.

    python -m omniq_file.moto_server PORT [--unconditional]

With `--unconditional` it overwrites objects although `If-None-Match` forbids it, as old servers do.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def main() -> None:
    """Serve until the process is ended."""
    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import WSGIRequestHandler, run_simple

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # or every request opens a connection

    application = one_at_a_time(
        create_backend_app("s3"), ignored=["HTTP_IF_NONE_MATCH"] * ("--unconditional" in sys.argv)
    )
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=Handler)


def one_at_a_time(
    application: Callable[..., Iterable[bytes]], *, ignored: Iterable[str]
) -> Callable[..., Iterable[bytes]]:
    """Return an application that answers only one request at a time, and does not see some headers."""
    # moto looks whether an object is there and writes it then, without a lock between.
    lock = threading.Lock()

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        for name in ignored:
            environ.pop(name, None)
        with lock:
            return application(environ, start)

    return answer


if __name__ == "__main__":
    main()
