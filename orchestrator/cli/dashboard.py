"""`igcv dashboard`: studies in the browser, followed while they are searched."""

from __future__ import annotations

import atexit
import logging
import signal
import socket
from functools import partial
from pathlib import Path
from threading import Thread

import click

from orchestrator.locate import locate
from orchestrator.storage_address import is_database

ADDRESS = "127.0.0.1"
PORT = 8050


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY…")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any free port.")
@click.option("--host", default=ADDRESS, show_default=True, help="Where to listen; a container's 0.0.0.0, for example.")
def dashboard(studies: tuple[str, ...], port: int, host: str) -> None:
    """Show one STUDY or several in the browser, live.

    The page is served to this machine alone; from another one, forward the port: ssh -L 8050:127.0.0.1:8050 HOST.
    With another --host it still answers to the names localhost and 127.0.0.1 only: what a published port is called by.
    """
    from werkzeug.serving import make_server

    from dashboards.live.app import make_app
    from dashboards.live.drawing import warm
    from dashboards.live.reader import make_readers

    readers = make_readers([place(study) for study in studies])
    app = make_app(readers)
    with _listening(host, port) as listener:
        port = listener.getsockname()[1]
        server = make_server(host, port, app.server, threaded=True, fd=listener.fileno())
        click.echo(f"http://{ADDRESS}:{port}/")
        click.echo("ctrl-C ends it", err=True)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # no line for each request
        Thread(target=warm, args=(readers,), daemon=True).start()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a container's first process has no default for it
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            server.server_close()


def place(study: str) -> tuple[str, Path]:
    """A study's name, and the folder or file of its trial table: of one in a database, a copy that follows it."""
    path = Path(study)
    if study.endswith(".parquet") and path.is_file():
        return path.stem if path.stem != "trials" else path.resolve().parent.name, path
    found = locate(study)
    if is_database(found.storage):
        from orchestrator.reading import Mirror

        mirror = Mirror(found.storage, found.name, partial(click.echo, err=True))
        atexit.register(mirror.close)
        return found.name, mirror.folder
    assert found.folder is not None
    return found.name, found.folder


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        where = "" if host == ADDRESS else f" at --host {host}"
        raise ValueError(f"--port {port}{where}: {error.strerror}; give another one, or 0 for any free one") from error
    listener.listen(128)
    return listener
