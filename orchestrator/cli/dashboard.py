"""`igcv dashboard`: studies in the browser, followed while they are searched."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from orchestrator.locate import locate

ADDRESS = "127.0.0.1"
PORT = 8050


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY…")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any free port.")
def dashboard(studies: tuple[str, ...], port: int) -> None:
    """Show one STUDY or several in the browser, live.

    The page is served to this machine alone; from another one, forward the port: ssh -L 8050:127.0.0.1:8050 HOST.
    """
    from werkzeug.serving import make_server

    from dashboards.live.app import make_app
    from dashboards.live.reader import make_readers

    app = make_app(make_readers([place(study) for study in studies]))
    with _listening(port) as listener:
        port = listener.getsockname()[1]
        server = make_server(ADDRESS, port, app.server, threaded=True, fd=listener.fileno())
        click.echo(f"http://{ADDRESS}:{port}/")
        click.echo("ctrl-C ends it", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            server.server_close()


def place(study: str) -> tuple[str, Path]:
    """A study's name, and the folder or file of its trial table. ValueError where there is none on this machine."""
    path = Path(study)
    if study.endswith(".parquet") and path.is_file():
        return path.stem if path.stem != "trials" else path.resolve().parent.name, path
    found = locate(study)
    if found.folder is None:
        raise ValueError(f"{study}: there is no trial table for it on this machine")
    return found.name, found.folder


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
    except OSError as error:
        listener.close()
        raise ValueError(f"--port {port}: {error.strerror}; give another one, or 0 for any free one") from error
    listener.listen(128)
    return listener
