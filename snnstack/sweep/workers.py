"""Where points run: in this process, in one process per core, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from snnstack.errors import ToolError, fail
from snnstack.process import end_with_parent
from snnstack.sweep.point import Job, run_point, sources

Task = tuple[str, Mapping[str, Any]]
"""A point under its key."""
Outcome = tuple[str, dict[str, Any] | BaseException]
TRIES = 3
"""Times that a pool may break without a single finished point in between."""

Runner = Callable[[Job, Sequence[Task]], Iterator[Outcome]]


def here(job: Job, tasks: Sequence[Task]) -> Iterator[Outcome]:
    """One point after the other, in this process."""
    for key, point in tasks:
        yield key, _guarded(job, point)


def _guarded(job: Job, point: Mapping[str, Any]) -> dict[str, Any] | BaseException:
    try:
        return run_point(job, point)
    except Exception as error:
        return error


def processes(job: Job, tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """On `workers` processes; results as they come. A pool that lost a worker is made anew."""
    left, broken = dict(tasks), 0
    while left:
        before = len(left)
        try:
            for key, outcome in _pooled(job, list(left.items()), workers):
                del left[key]
                yield key, outcome
        except BrokenProcessPool as error:
            broken = broken + 1 if len(left) == before else 1
            if broken >= TRIES:
                what = f"a worker process died {TRIES} times without finishing a point"
                raise fail(ToolError, "sweep", what, "memory? try fewer --workers") from error


def _pooled(job: Job, tasks: Sequence[Task], workers: int) -> Iterator[Outcome]:
    """Few points are handed out at a time: a grid of any size stays here."""
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent)
    try:
        waiting = iter(tasks)
        running: dict[Future[Any], str] = {}
        while True:
            for key, point in islice(waiting, 2 * workers - len(running)):
                running[pool.submit(_guarded, job, point)] = key
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                key = running[future]
                outcome = future.result()
                del running[future]
                yield key, outcome
    finally:
        # Whoever is interrupted does not wait for points under way: nobody will read them.
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - before:
            worker.terminate()


def dask(job: Job, tasks: Sequence[Task], address: str) -> Iterator[Outcome]:
    """On a Dask cluster; its workers need snnstack, but not the files: those are sent.

    A point whose worker dies is run again on another. ToolError: Dask is not installed, or no
    scheduler answers.
    """
    client = _client(address)
    with client:
        files = {name: Path(place).read_bytes() for name, place in job.paths.items()}
        plugin = _plugin(files)
        client.register_plugin(plugin)
        try:
            yield from _submitted(client, plugin.name, job, tasks)
        finally:
            client.unregister_worker_plugin(plugin.name)


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        hint = "pip install 'snnstack[cluster]'"
        raise fail(ToolError, "--scheduler", "Dask is not installed", hint) from error
    try:
        return Client(address, timeout=10, set_as_default=False)
    except Exception as error:  # an address that is none ends in whatever its parts are good for
        what = "no Dask scheduler answers there"
        raise fail(ToolError, f"--scheduler {address}", what, "tcp://HOST:8786?") from error


def _submitted(client: Any, name: str, job: Job, tasks: Sequence[Task]) -> Iterator[Outcome]:
    from distributed import as_completed

    waiting = iter(tasks)

    def some(count: int) -> dict[Any, str]:
        return {
            client.submit(remote, name, job, dict(point), key=f"{name}-{key}", pure=False): key
            for key, point in islice(waiting, count)
        }

    running = some(4 * max(1, len(client.scheduler_info()["workers"])))
    done = as_completed(list(running), loop=client.loop, raise_errors=False)
    for future in done:
        key = running.pop(future)
        outcome = future.result() if future.status == "finished" else future.exception()
        for fresh, other in some(1).items():
            running[fresh] = other
            done.add(fresh)
        future.release()
        yield key, outcome


def _plugin(files: Mapping[str, bytes]) -> Any:
    """Puts the files on every worker, also on one that joins or is restarted later."""
    import uuid

    from distributed import WorkerPlugin

    class Files(WorkerPlugin):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self.name, self.files = f"snnstack-{uuid.uuid4().hex}", dict(files)

        def setup(self, worker: Any) -> None:
            folder = Path(tempfile.mkdtemp(prefix="snnstack-sweep-"))
            worker.snnstack_folders = {
                **getattr(worker, "snnstack_folders", {}),
                self.name: (folder, sources(self.files, folder)),
            }

        def teardown(self, worker: Any) -> None:
            folder, _ = getattr(worker, "snnstack_folders", {}).pop(self.name, (None, None))
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    return Files()


def remote(name: str, job: Job, point: Mapping[str, Any]) -> dict[str, Any] | BaseException:
    """`run_point` on a worker of a cluster, with the files that were sent to it."""
    from distributed import get_worker

    _, paths = get_worker().snnstack_folders[name]
    return _guarded(replace(job, paths=paths), point)
