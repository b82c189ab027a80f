"""Folders and buckets alike: what is written comes back, or what was there before; nothing secret stands in an address."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.s3 import S3Server
from tests.workers.making import numbers, request, run_through
from workers import places
from workers.checkpoint import resume
from workers.places import Bucket, Folder, Place, absolute, checked_address, is_bucket, place, place_of_file

Make = Callable[[], Place]


@pytest.fixture(params=["folder", "bucket", "whole bucket"])
def somewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return place(tmp_path / "deep" / "er")
    server: S3Server = request.getfixturevalue("s3")
    return place(server.address(server.bucket() + ("/deep/er" if request.param == "bucket" else "")))


def contents(found: Place, name: str) -> list[bytes]:
    return [content for _, content in found.versions(name)]


def test_what_is_written_comes_back_under_the_address_that_it_has(somewhere: Place) -> None:
    somewhere.prepare()
    assert (somewhere.names(), contents(somewhere, "a.pt")) == ([], [])
    somewhere.write("a.pt", b"first")
    somewhere.write("b.pt", memoryview(b""))
    there, name = place_of_file(somewhere.file("a.pt"))
    assert (there, name) == (somewhere, "a.pt")
    assert contents(place(somewhere.address), "a.pt") == [b"first"]
    assert sorted(somewhere.names()) == ["a.pt", "b.pt"]
    somewhere.write("a.pt", b"second")
    assert contents(somewhere, "a.pt")[0] == b"second"


def test_a_place_inside_is_apart(somewhere: Place) -> None:
    somewhere.prepare()
    inner = somewhere.within("evaluation")
    inner.prepare()
    inner.write("a.pt", b"inner")
    somewhere.write("a.pt", b"outer")
    somewhere.remove("a.pt")
    assert (somewhere.names(), inner.names(), contents(inner, "a.pt")) == ([], ["a.pt"], [b"inner"])


def test_removing_takes_what_lies_beside_and_no_neighbour(somewhere: Place) -> None:
    for name in ("t-1.pt", "t-1.pt", "t-10.pt"):
        somewhere.write(name, b"x")
    if isinstance(somewhere, Folder):
        (somewhere.path / "t-1.pt.4711.tmp").write_bytes(b"half")
    somewhere.remove("t-1.pt")
    somewhere.remove("t-1.pt")
    assert somewhere.names() == ["t-10.pt"]


def test_a_file_moves_to_this_machine_or_is_not_there(somewhere: Place, tmp_path: Path) -> None:
    target = tmp_path / "weights" / "a.pt"
    somewhere.prepare()
    assert not somewhere.move("a.pt", target)
    assert not target.exists()
    for content in (b"one", b"two"):
        somewhere.write("a.pt", content)
        assert somewhere.move("a.pt", target)
        assert target.read_bytes() == content
        somewhere.remove("a.pt")
    assert (somewhere.names(), os.listdir(target.parent)) == ([], ["a.pt"])


def test_a_bucket_that_is_not_there_is_told_from_an_empty_one(s3: S3Server) -> None:
    with pytest.raises(OSError, match=r"s3://nobody-made-this/x\?.*cannot be written to.*NO_SUCH_BUCKET.*credentials"):
        place(s3.address("nobody-made-this/x")).prepare()


def test_a_folder_that_cannot_be_written_to_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="/proc"):
        place("/proc/nowhere").prepare()


def test_a_bucket_that_hangs_is_waited_for(s3: S3Server) -> None:
    found = place(s3.address(f"{s3.bucket()}/c"))
    found.write("a.pt", b"before")
    with s3.hung():
        writing = threading.Thread(target=found.write, args=("a.pt", b"after"))
        writing.start()
        writing.join(4)
        assert writing.is_alive()
    writing.join(120)
    assert contents(found, "a.pt") == [b"after"]


def test_a_bucket_that_refuses_is_tried_again(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = place(s3.address(f"{s3.bucket()}/c"))
    real = places._file_system
    doors = [9, s3.port]  # nobody listens at the first

    def door(scheme: str, owner: str, options: str) -> object:
        return real(scheme, owner, options.replace(str(s3.port), str(doors.pop(0) if len(doors) > 1 else doors[0])))

    monkeypatch.setattr(places, "_file_system", door)
    found.write("a.pt", b"after")
    assert "does not answer" in caplog.text
    assert "NETWORK_CONNECTION" in caplog.text
    assert contents(found, "a.pt") == [b"after"]


def test_a_bucket_that_stays_away_is_an_error_at_last(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    found = place(s3.address(f"{s3.bucket()}/c").replace(f":{s3.port}", ":9"))
    monkeypatch.setattr(places, "OUTAGE_SECONDS", 0.0)
    with pytest.raises(OSError, match=r"s3://igcv-.*NETWORK_CONNECTION"):
        found.write("a.pt", b"x")
    with pytest.raises(OSError, match="NETWORK_CONNECTION"):
        contents(found, "a.pt")


def test_a_training_goes_on_from_a_bucket_to_the_bit(s3: S3Server) -> None:
    bucket = s3.bucket()
    wanted = request(checkpoint=s3.address(f"{bucket}/study/t.pt"))
    alone, _ = run_through(request())
    first, _ = run_through(request(checkpoint=wanted.checkpoint, stop_epoch=2))
    assert s3.keys(bucket) == ["study/t.pt"]
    second, metrics = run_through(wanted)
    assert [report.epoch for report in second] == [3]
    assert numbers([*first, *second]) == numbers(alone) == numbers(metrics.curve)


def test_a_damaged_object_means_from_the_start(s3: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    wanted = request(checkpoint=s3.address(f"{s3.bucket()}/t.pt"))
    run_through(wanted)
    assert wanted.checkpoint is not None
    there, name = place_of_file(wanted.checkpoint)
    (content,) = contents(there, name)
    there.write(name, content[: len(content) // 2])
    assert resume(wanted.checkpoint, wanted) is None
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "s3://AKIAKEY:s3cret@bucket/x",
        "s3://AKIAKEY@bucket/x",
        "gs://token@bucket/x",
        "s3://bucket/x?access_key=AKIAKEY&secret_key=s3cret",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ValueError, match=r"://…@bucket/x: credentials stand in this address.*leave them out") as told:
        checked_address(address)
    assert not [word for word in ("AKIAKEY", "s3cret", "token") if word in str(told.value)]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://host/x", "http:// is neither a folder nor a bucket"),
        ("hdfs://host/x", "hdfs:// is neither"),
        ("file://host/x", "file:// is neither"),
        ("s3:///x", "no bucket is named"),
    ],
)
def test_other_addresses_are_refused(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        place(address)


def test_addresses() -> None:
    assert checked_address("file:///a/b") == "/a/b"
    assert (is_bucket("s3://b/x"), is_bucket("/s3/b"), is_bucket("s3:/b"), is_bucket("gs://b")) == (
        True,
        False,
        False,
        True,
    )
    assert absolute("s3://b/x?region=eu-west-1") == "s3://b/x?region=eu-west-1"
    assert absolute("a/../b") == str(Path.cwd() / "b")
    found = place("gcs://anonymous@b/x/?scheme=http")
    assert isinstance(found, Bucket)
    assert found.file("a.pt") == "gs://anonymous@b/x/a.pt?scheme=http"
    assert place_of_file("gs://b/a.pt")[0] == place("gs://b")


def test_an_option_that_pyarrow_does_not_know_is_named(s3: S3Server) -> None:
    with pytest.raises(ValueError, match=r"s3://bucket.*colour"):
        place("s3://bucket/x?colour=red").prepare()
