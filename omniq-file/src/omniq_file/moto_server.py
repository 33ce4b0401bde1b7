"""Run an S3 server for tests, which answers one request at a time: `python -m omniq_file.moto_server PORT`."""

from __future__ import annotations

import sys


def main() -> None:
    """Serve until the process is ended."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    # moto looks whether an object is there and writes it then, without a lock between: one request at a time.
    application = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=False)


if __name__ == "__main__":
    main()
