"""Long storms: `python -m tests.chaos --storms 10 --trials 60`; a report says what was killed when, and the counts."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.program import make_wheel
from tests.chaos.storm import Storm
from tests.chaos.verdict import Networks, judge, networks
from tests.orchestrator.tracking.serving import Server
from tests.postgres import PostgresServer, binaries
from tests.s3 import S3Server

WEATHER = ("worker", "node", "driver", "head", "mlflow", "postgres", "s3")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--storms", type=int, default=10)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the first; the others count on")
    parser.add_argument(
        "--weather", default=",".join(WEATHER), help="each of these strikes once, and then `--more` of them"
    )
    parser.add_argument("--more", type=int, default=3, help="further accidents, of kinds drawn at random")
    parser.add_argument("--report", type=Path, default=Path("chaos.json"))
    given = parser.parse_args()
    calm = _calm(given.trials)
    reports = []
    for seed in range(given.seed, given.seed + given.storms):
        print(f"storm of seed {seed}", file=sys.stderr, flush=True)
        reports.append(_one(seed, given.trials, given.weather.split(","), given.more, calm))
        given.report.write_text(json.dumps(reports, indent=1))
        print(json.dumps({key: value for key, value in reports[-1].items() if key != "log"}), flush=True)
    sys.exit(any("fault" in report for report in reports))


def _calm(trials: int) -> Networks:
    """What the search finds where nothing befalls it."""
    print("an undisturbed search, to compare with", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="igcv-calm-") as folder:
        search = Storm(folder=Path(folder), seed=0, trials=trials, wheel=make_wheel(Path(folder)))
        search.run([])
        judge(search)
        return networks(search)


def _one(seed: int, trials: int, kinds: list[str], more: int, calm: Networks) -> dict[str, object]:
    """A storm in a folder of its own, with a PostgreSQL where there is one."""
    drawn = random.Random(seed)
    weather = drawn.sample(kinds, len(kinds)) + drawn.choices(kinds, k=more)
    programs = binaries() if "postgres" in kinds else None
    postgres = PostgresServer(programs) if programs else None
    s3 = S3Server() if "s3" in kinds else None
    with tempfile.TemporaryDirectory(prefix="igcv-storm-") as folder:
        mlflow = None
        storm = None
        try:
            if postgres:
                postgres.start()
                postgres.create("storm")
            if "mlflow" in kinds:
                mlflow = Server.of_a_team(
                    f"sqlite:///{folder}/mlflow.db", Path(folder, "artifacts"), Path(folder, "mlflow.log")
                )
                mlflow.start()
            storm = Storm(
                folder=Path(folder),
                seed=seed,
                trials=trials,
                wheel=make_wheel(Path(folder)),
                postgres=postgres,
                mlflow=mlflow,
                s3=s3,
            )
            storm.run(weather)
            return judge(storm, calm)
        except Exception as error:  # the other storms go on, and the report says which one failed
            kept = tempfile.mkdtemp(prefix=f"igcv-storm-{seed}-")
            shutil.copytree(folder, kept, dirs_exist_ok=True)
            return {"seed": seed, "fault": repr(error), "kept": kept, "log": storm.log if storm else []}
        finally:
            if mlflow:
                mlflow.stop()
            if postgres:
                postgres.close()
            if s3:
                s3.close()


if __name__ == "__main__":
    main()
