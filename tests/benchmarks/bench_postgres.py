"""A search's driver on a cluster's database: many actors that do nothing, one driver, a real PostgreSQL, and readers.

    python -m tests.benchmarks.bench_postgres [--actors 64] [--trials 2000] [--pairs 3] [--readers 4] [--json]

Runs alternate: nobody reads; then a dashboard, `igcv status`, `igcv track` and optuna-dashboard poll the same study while
it is written. The actors import no torch. Rates are of the second half of the trials, when every actor has joined.
`database`: the share of the time from the first launch to the last end in which a thread of the driver waited for
PostgreSQL, the loop's and the proposer's apart.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tests.postgres import PostgresServer, binaries

ROOT = Path(__file__).parents[2]
NAME = "noop"
READERS = ("dashboard", "status", "track", "optuna-dashboard")
POLL_SECONDS = 1.0

servers: list[subprocess.Popen[str]] = []  # that this process started


def drive(where: str, trials: int, actors: int, sampler: str) -> dict[str, Any]:
    """One search, in this process."""
    import psutil
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    import orchestrator.pools.ray as pool
    from orchestrator.benchmarks.noop import RUNNER, noop_experiment
    from orchestrator.outage import Patience
    from orchestrator.running import run_search

    waited: dict[str, float] = {}
    counts = {"statements": 0, "commits": 0}
    persist = Patience.persist

    def timed(self: Patience, *given: Any) -> Any:
        began = time.perf_counter()
        try:
            return persist(self, *given)
        finally:
            thread = "loop" if threading.current_thread() is threading.main_thread() else "proposer"
            waited[thread] = waited.get(thread, 0.0) + time.perf_counter() - began

    def count(what: str) -> Callable[..., None]:
        return lambda *given: counts.update({what: counts[what] + 1})

    Patience.persist = timed  # type: ignore[method-assign]
    event.listen(Engine, "before_cursor_execute", count("statements"))
    event.listen(Engine, "commit", count("commits"))
    with tempfile.TemporaryDirectory() as folder:
        experiment = noop_experiment(Path(folder), trials, sampler, "off")
        resources = experiment.resources.model_copy(update={"workers": actors})
        experiment = experiment.model_copy(update={"storage": where, "resources": resources})
        pool.start_here(workers=actors, cpus_per_worker=1)
        began, cpu = time.perf_counter(), time.process_time()
        ended = run_search(experiment, RUNNER)
        seconds = time.perf_counter() - began
    times = sorted(row.ended_at for row in ended.rows if row.ended_at)
    half = times[len(times) // 2 :]
    busy = times[-1] - min(row.started_at for row in ended.rows if row.started_at)
    return {
        "trials": len(times),
        "trials_per_second": round((len(half) - 1) / (half[-1] - half[0]), 2),
        "seconds": round(seconds, 2),
        "seconds_of_trials": round(busy, 2),
        "cpu_ms_per_trial": round(1000 * (time.process_time() - cpu) / len(times), 2),
        "database_loop": round(waited["loop"] / busy, 4),
        "database_proposer": round(waited["proposer"] / busy, 4),
        "database_ms_per_trial": round(1000 * sum(waited.values()) / len(times), 2),
        "statements_per_trial": round(counts["statements"] / len(times), 2),
        "commits_per_trial": round(counts["commits"] / len(times), 2),
        "rss_mib": round(psutil.Process().memory_info().rss / 2**20),
    }


def read(reader: str, where: str) -> None:
    """Polls until its standard input ends; prints how often, how slowly, and what went wrong."""
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
    poll, seconds, errors = _reader(reader, where), list[float](), list[str]()
    while not stopped.wait(POLL_SECONDS):
        began = time.perf_counter()
        try:
            poll()
        except Exception as error:
            errors.append(repr(error)[:300])
        seconds.append(time.perf_counter() - began)
    typical = round(median(seconds), 3) if seconds else None
    print(
        json.dumps({"reader": reader, "polls": len(seconds), "median_seconds": typical, "errors": errors}), flush=True
    )
    for server in servers:
        server.send_signal(signal.SIGINT)  # a dashboard removes its copy of the table
        server.wait(60)


def _reader(reader: str, where: str) -> Callable[[], object]:
    from orchestrator.locate import read_rows

    study = f"{where}#{NAME}"
    match reader:
        case "status":
            from orchestrator.cli.show import status_of

            return lambda: status_of(*read_rows(study))
        case "track":
            from orchestrator.tracking.sync import sync_study

            folder = Path(tempfile.mkdtemp())
            return lambda: sync_study(f"sqlite:///{folder}/mlflow.db", folder, *read_rows(study), running=True)
        case "dashboard":
            return _page(
                [sys.executable, "-m", "tests.napping", "dashboard", "env:IGCV_STORAGE#noop", "--port", "0"], where
            )
        case _:
            code = (
                "import os, socket, optuna_dashboard, optuna\n"
                "s = socket.socket(); s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]; s.close()\n"
                "print(f'http://127.0.0.1:{port}/api/studies/1?after=0', flush=True)\n"
                "optuna_dashboard.run_server(optuna.storages.RDBStorage(os.environ['IGCV_STORAGE']), '127.0.0.1', port)"
            )
            return _page([sys.executable, "-c", code], where)


def _page(command: list[str], where: str) -> Callable[[], object]:
    """Starts a server that prints its address, which stands in no command line; a poll gets its page."""
    environment = os.environ | {"IGCV_STORAGE": where, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    servers.append(process)
    assert process.stdout is not None
    address = process.stdout.readline().strip()

    def get() -> int:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return len(answer.read())

    while True:  # until it listens
        try:
            get()
        except ConnectionError:
            time.sleep(0.2)
        except OSError as error:
            if not isinstance(error.__context__, ConnectionError):
                return get
            time.sleep(0.2)
        else:
            return get


def run(server: PostgresServer, name: str, trials: int, actors: int, sampler: str, readers: tuple[str, ...]) -> Any:
    """One search in a process of its own, and so its readers."""
    where = server.create(name)
    environment = os.environ | {
        "IGCV_STORAGE": where,
        "RAY_AUTH_MODE": "token",
        "RAY_ADDRESS": "local",
        "PYTHONPATH": str(ROOT),
    }
    me = [sys.executable, "-m", "tests.benchmarks.bench_postgres"]
    sizes = ["--trials", str(trials), "--actors", str(actors), "--sampler", sampler]
    driver = subprocess.Popen([*me, "--drive", *sizes], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    watching = []
    if readers:
        _wait_for_trials(where, driver)
        for reader in readers:
            command = [*me, "--read", reader]
            pipe = subprocess.PIPE
            watching.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True))
    printed, _ = driver.communicate()
    if driver.returncode:
        raise SystemExit("the search failed; its message stands above")
    result = json.loads(printed.strip().splitlines()[-1])
    result["readers"] = [json.loads(each.communicate()[0].strip().splitlines()[-1]) for each in watching]
    print(json.dumps(result), file=sys.stderr, flush=True)
    return result


def _wait_for_trials(where: str, driver: subprocess.Popen[str]) -> None:
    import psycopg

    while driver.poll() is None:
        try:
            with psycopg.connect(where) as connection:
                if connection.execute("SELECT 1 FROM trials LIMIT 1").fetchone():
                    return
        except psycopg.errors.UndefinedTable:
            pass
        time.sleep(0.2)


def measure(trials: int, actors: int, pairs: int, readers: int, sampler: str) -> dict[str, Any]:
    """All runs in turn."""
    programs = binaries()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed here (Debian: apt-get install postgresql)")
    server = PostgresServer(programs, settings=())
    server.start()
    alone, watched = list[Any](), list[Any]()
    try:
        for pair in range(pairs):
            alone.append(run(server, f"alone{pair}", trials, actors, sampler, ()))
            if readers:
                watched.append(run(server, f"watched{pair}", trials, actors, sampler, READERS[:readers]))
    finally:
        server.close()
    slower = [one["trials_per_second"] / two["trials_per_second"] for one, two in zip(alone, watched, strict=False)]
    return {
        "actors": actors,
        "trials_per_second": [one["trials_per_second"] for one in alone],
        "trials_per_second_median": median(one["trials_per_second"] for one in alone),
        "slower_with_readers": [round(ratio, 2) for ratio in slower],
        "reader_errors": sum(len(reader["errors"]) for one in watched for reader in one["readers"]),
        "alone": alone,
        "watched": watched,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--actors", type=int, default=64)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--readers", type=int, default=len(READERS), help="how many of them poll in the second runs")
    parser.add_argument("--sampler", default="uniform")
    parser.add_argument("--drive", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        print(json.dumps(drive(os.environ["IGCV_STORAGE"], given.trials, given.actors, given.sampler)))
    elif given.read:
        read(given.read, os.environ["IGCV_STORAGE"])
    else:
        result = measure(given.trials, given.actors, given.pairs, given.readers, given.sampler)
        print(json.dumps(result) if given.json else "\n".join(f"{k:<26} {v}" for k, v in result.items()))


if __name__ == "__main__":
    main()
