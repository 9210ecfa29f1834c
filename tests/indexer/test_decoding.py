"""One hung, crashed or greedy file is stopped and named; its neighbours never notice."""

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from indexer.decoding import Answer, DecodePool, Source
from indexer.errors import DecodeCrash, DecodeTimeout, ImageError, ServiceUnavailable
from indexer.images import DecodedImage, InputSpec, Limits, content_hash, decode
from indexer.storage import Storage
from tests import misbehaviour
from tests.pictures import encoded, odd_folder, png_header, scene

SPECS = [InputSpec(32), InputSpec(48, "crop", "bicubic")]
PHOTO = encoded(scene(), "JPEG")
LIMITS = Limits(timeout_s=2.0, max_memory_bytes=256 * 2**20)


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    """Two children for the whole file: what one test does to them the next must survive."""
    with DecodePool(2, LIMITS) as pool:
        yield pool


def outcome(pool: DecodePool, source: Source) -> Answer:
    """What one source comes to, with a good photo on either side that must not be touched."""
    answers = dict(pool.decode_all([("before", PHOTO), ("it", source), ("after", PHOTO)], SPECS))
    assert isinstance(answers["before"], DecodedImage)
    assert isinstance(answers["after"], DecodedImage)
    return answers["it"]


def code_and_reason(pool: DecodePool, source: Source) -> tuple[str, str]:
    answer = outcome(pool, source)
    assert isinstance(answer, ImageError)
    return answer.code, str(answer)


def children() -> list[psutil.Process]:
    """The decoding processes this one has started, dead ones not counted."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie counts as none
            if "decode_child" in " ".join(child.cmdline()):
                found.append(child)
    return found


def test_children_answer_as_decode_does(pool: DecodePool, tmp_path: Path) -> None:
    """Bytes, a path, a path as text and a stored original all come to what decoding here gives."""
    (tmp_path / "photo.png").write_bytes(PHOTO)  # a JPEG, whatever its name
    storage = Storage(str(tmp_path / "store"))
    storage.put_original(content_hash(PHOTO), PHOTO)
    sources: dict[str, Source] = {
        "bytes": PHOTO,
        "path": tmp_path / "photo.png",
        "text": str(tmp_path / "photo.png"),
        "stored": storage.source(content_hash(PHOTO)),
    }
    wanted = decode(PHOTO, SPECS, LIMITS)
    answers = dict(pool.decode_all(sources.items(), SPECS))
    assert answers.keys() == sources.keys()
    for answer in answers.values():
        assert isinstance(answer, DecodedImage)
        assert answer.content_hash == content_hash(PHOTO)
        assert (answer.size_bytes, answer.format) == (len(PHOTO), "jpeg")
        assert (answer.thumbnail, answer.metadata) == (wanted.thumbnail, wanted.metadata)
        assert all(map(np.array_equal, answer.inputs, wanted.inputs))
        assert answer.decode_s > 0
        assert answer.read_s >= 0


def test_one_file_alone(pool: DecodePool) -> None:
    """`decode` answers one source, and raises its reason."""
    assert pool.decode(PHOTO, []).inputs == ()
    with pytest.raises(ImageError, match="empty"):
        pool.decode(b"", [])


def test_a_hung_file_is_stopped(pool: DecodePool) -> None:
    """Lost in C code, where no Python handler runs: stopped at the limit, with the setting that moves it."""
    started = time.monotonic()
    code, reason = code_and_reason(pool, misbehaviour.hang_in_c)
    assert code == "timeout"
    assert re.search("(over 2 s|within 6 s).*SIGHTLINE_IMAGES__TIMEOUT_S", reason)
    assert time.monotonic() - started < 30


def test_waiting_is_bounded_by_the_clock() -> None:
    """A source that costs no processor time and never comes is given up at three times the limit."""
    with DecodePool(1, Limits(timeout_s=0.2)) as pool, pytest.raises(DecodeTimeout, match=r"within 0.6 s"):
        pool.decode(misbehaviour.hang, [])


def test_processor_time_counts_not_waiting() -> None:
    """A file that waits longer than the limit without using the processor is no slow file."""
    with DecodePool(1, LIMITS) as pool:
        assert pool.decode(misbehaviour.dawdle, []).format == "bmp"


@pytest.mark.parametrize(
    ("crash", "words"),
    [
        (misbehaviour.segfault, "SIGSEGV"),
        (misbehaviour.be_killed, "SIGKILL.*|out of memory"),
        (misbehaviour.abort, "SIGABRT"),
        (misbehaviour.leave, "exit status 3"),
        (misbehaviour.fail_oddly, "ZeroDivisionError"),
        (misbehaviour.fill_memory, r"ran out of memory \(limit 256 MiB\)"),
    ],
)
def test_a_crash_is_named(pool: DecodePool, crash: Callable[[], bytes], words: str) -> None:
    """However the child goes, its file alone is blamed, with the signal or the limit."""
    code, reason = code_and_reason(pool, crash)
    assert code == "crash"
    assert re.search(words, reason)


def test_a_picture_too_large_for_the_memory_limit(pool: DecodePool) -> None:
    """Within the limit on pixels yet over that on memory: refused by name, not by the kernel."""
    code, reason = code_and_reason(pool, png_header(9000, 9000))
    assert (code, "SIGHTLINE_IMAGES__MAX_MEMORY_BYTES" in reason) == ("crash", True)


def test_bytes_too_large_for_the_memory_limit(pool: DecodePool) -> None:
    """The child dies of receiving them; that too is this file's doing and no other's."""
    code, reason = code_and_reason(pool, b"\x89PNG" + b"\x00" * (200 * 2**20))
    assert (code, "ran out of memory" in reason) == ("crash", True)


def test_many_crashes_among_many_files(pool: DecodePool) -> None:
    """Several kill their child; each gets its own answer, none is lost, none is answered twice."""
    deadly = {3: misbehaviour.be_killed, 4: misbehaviour.segfault, 11: misbehaviour.be_killed}
    sources: list[tuple[int, Source]] = [(n, deadly.get(n, PHOTO)) for n in range(30)]
    answers = list(pool.decode_all(sources, SPECS))
    assert sorted(number for number, _ in answers) == list(range(30))
    for number, answer in answers:
        assert isinstance(answer, DecodeCrash if number in deadly else DecodedImage)


def test_children_killed_from_outside_while_idle(pool: DecodePool) -> None:
    """The kernel takes an idle child: the next file gets a new one and no blame."""
    list(pool.decode_all([(n, PHOTO) for n in range(4)], SPECS))
    for child in children():
        child.kill()
    assert all(
        isinstance(answer, DecodedImage) for _, answer in pool.decode_all([(1, PHOTO), (2, PHOTO)], [])
    )


def test_files_that_are_no_files(pool: DecodePool, tmp_path: Path) -> None:
    """Pipes, devices and folders are never waited for or read; what is missing is said to be missing."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    for source, words in (
        (tmp_path / "pipe.jpg", "not a regular file"),
        (Path("/dev/zero"), "not a regular file"),
        (tmp_path, "is a folder"),
        (tmp_path / "missing.jpg", "No such file"),
        (tmp_path / "link.jpg", "No such file"),
        ("nul\x00byte.jpg", "cannot be read"),
        ("x" * 5000, "cannot be read"),
    ):
        code, reason = code_and_reason(pool, source)
        assert code == "unreadable"
        assert words in reason


def test_a_store_that_does_not_answer(pool: DecodePool, tmp_path: Path) -> None:
    """A source that cannot be read, or is not there, is unreadable; the decoder is not to blame."""
    assert code_and_reason(pool, misbehaviour.be_unreachable) == ("unreadable", "the store is away")
    missing = Storage(str(tmp_path)).source(content_hash(PHOTO))
    assert code_and_reason(pool, missing)[0] == "unreadable"


def test_byte_limit_is_checked_before_reading(tmp_path: Path) -> None:
    """A sparse file of 100 GB is refused at once, by its size."""
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(100 * 10**9)
    with DecodePool(1, LIMITS) as pool:
        code, reason = code_and_reason(pool, tmp_path / "huge.jpg")
    assert code == "too_large"
    assert "100,000,000,000 bytes" in reason


def test_refusals_travel_whole(pool: DecodePool) -> None:
    """The child's own refusals arrive with class, code and message."""
    code, reason = code_and_reason(pool, png_header(60_000, 60_000))
    assert code == "too_large"
    assert "3,600,000,000 pixels" in reason


def test_children_import_only_what_decoding_needs(pool: DecodePool) -> None:
    """No network runtime, no database, no server: children start fast and stay small."""
    loaded = set(code_and_reason(pool, misbehaviour.modules)[1].split())
    assert "PIL" in loaded
    heavy = {"torch", "sqlalchemy", "celery", "fastapi", "pymilvus", "grpc", "pydantic", "fsspec", "scipy"}
    # Earlier tests had the child open a store.
    assert not loaded & (heavy - {"fsspec"})


def test_children_are_reused(pool: DecodePool) -> None:
    """One process serves many files."""
    answers = list(pool.decode_all([(n, misbehaviour.pid) for n in range(12)], []))
    assert len({str(answer) for _, answer in answers}) <= 2


def test_modules_in_the_working_folder_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of photos may hold a numpy.py; it must not run."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('hostile')")
    monkeypatch.chdir(tmp_path)
    with DecodePool(1, LIMITS) as pool:
        assert pool.decode(PHOTO, SPECS).format == "jpeg"


def test_sources_are_drawn_only_as_needed(pool: DecodePool) -> None:
    """An endless stream of files is taken a few at a time, and leaving early leaves the pool usable."""
    drawn = itertools.count()
    stream = pool.decode_all(((next(drawn), PHOTO) for _ in itertools.repeat(None)), SPECS)
    next(stream)
    time.sleep(0.2)
    assert next(drawn) <= 10
    stream.close()
    assert isinstance(outcome(pool, PHOTO), DecodedImage)


def test_several_threads_share_a_pool(pool: DecodePool) -> None:
    """As in a worker with a pool of threads: each gets its own answers, from threads that are not main."""
    photos = {size: encoded(scene(size, 40), "PNG") for size in range(41, 71)}
    widths: dict[str, list[tuple[int, int]]] = {}

    def work(name: str) -> None:
        answers = pool.decode_all(photos.items(), [])
        widths[name] = [(key, answer.width) for key, answer in answers if isinstance(answer, DecodedImage)]

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(sorted(widths[name]) == [(size, size) for size in photos] for name in "abc")


def test_a_pool_made_used_and_closed_in_a_thread() -> None:
    """Nothing depends on the main thread; children outlive the thread that first needed them."""
    with DecodePool(1, LIMITS) as pool:
        for _ in range(2):
            answers: list[Answer] = []
            thread = threading.Thread(
                target=lambda into: into.append(pool.decode(PHOTO, [])), args=(answers,)
            )
            thread.start()
            thread.join()
            assert isinstance(answers[0], DecodedImage)


def test_closing_ends_children_and_blames_no_file() -> None:
    """A pool closed under a hung file: the consumer hears of the closing, no process is left."""
    before = {child.pid for child in children()}
    pool = DecodePool(2, Limits(timeout_s=60))
    failures: list[Exception] = []

    def consume() -> None:
        try:
            list(pool.decode_all([(n, misbehaviour.hang) for n in range(5)], []))
        except ServiceUnavailable as error:
            failures.append(error)

    consumer = threading.Thread(target=consume)
    consumer.start()
    while len({child.pid for child in children()} - before) < 2:
        time.sleep(0.02)
    pool.close()
    consumer.join(10)
    assert "closed" in str(failures[0])
    with pytest.raises(ServiceUnavailable, match="closed"):
        pool.decode(PHOTO, [])
    assert {child.pid for child in children()} <= before


def test_children_die_with_a_parent_killed(tmp_path: Path) -> None:
    """Kill -9 of the parent, with one child idle and one hung, leaves nothing behind."""
    script = (
        "import sys, threading, psutil\n"
        "from indexer.decoding import DecodePool\nfrom indexer.images import Limits\n"
        "from tests import misbehaviour\n"
        "pool = DecodePool(2, Limits(timeout_s=300))\n"
        "work = lambda: list(pool.decode_all([(1, misbehaviour.hang_in_c)], []))\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "try:\n    pool.decode(b'', [])\nexcept Exception:\n    pass\n"
        "while len(psutil.Process().children()) < 2: pass\n"
        "print(*[child.pid for child in psutil.Process().children()], flush=True)\n"
        "threading.Event().wait()\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.send_signal(signal.SIGKILL)
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(map(_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_running, pids))


def _running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_parent_stays_small(pool: DecodePool) -> None:
    """Hundreds of files later the parent holds no more than before."""
    specs = [InputSpec(224)] * 3
    list(pool.decode_all([(n, PHOTO) for n in range(20)], specs))
    before = psutil.Process().memory_info().rss
    for _ in pool.decode_all([(n, PHOTO) for n in range(200)], specs):
        pass
    assert psutil.Process().memory_info().rss - before < 32 * 2**20


def test_a_pool_needs_a_worker() -> None:
    """No workers is a mistake, not a wait without end."""
    with pytest.raises(ValueError, match="at least one"):
        DecodePool(0, LIMITS)


REFUSED = {
    "65536-uint32-limit.png": "too_large",
    "broken.png": "broken",
    "broken_data_stream.png": "broken",
    "check.svg": "unsupported_format",
    "corrupted.heic": "broken",
    "decompression_bomb.gif": "too_large",
    "decompression_bomb.ico": "unsupported_format",
    "relax.jp2": "unsupported_format",
    "syn_bomb_14000x14000_rgb.png": "too_large",
    "syn_empty.jpg": "broken",
    "syn_gif_html_polyglot.gif": "broken",
    "syn_html.jpg": "unsupported_format",
    "timeout-598843abc37fc080ec36a2699ebbd44f795d3a6f.psd": "unsupported_format",
    "truncated.jpg": "broken",
    "truncated_image.png": "broken",
    "zero_width.gif": "broken",
}


def test_strange_files_are_indexed_or_refused_with_the_right_reason() -> None:
    """Each of 66 broken, hostile and unusual files, where the optional data is present."""
    files = {path.name: path for path in odd_folder().iterdir() if path.name != "manifest.jsonl"}
    with DecodePool(2, Limits(timeout_s=60)) as pool:  # a busy machine; times are measured elsewhere
        answers = dict(pool.decode_all(files.items(), [InputSpec(224)]))
    assert answers.keys() == files.keys()
    codes = {name: answer.code for name, answer in answers.items() if isinstance(answer, ImageError)}
    assert codes == REFUSED
    assert not any(isinstance(answer, DecodeCrash | DecodeTimeout) for answer in answers.values())
