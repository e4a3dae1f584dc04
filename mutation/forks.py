"""A pytest plugin that collects once and tries each mutant in a fork: no start-up, only the tests that reach it.

A mutant inside a function is that function with other code. What is changed outside of functions (a constant, a
decorator) may have been imported already, and is left to cosmic-ray: a fresh process for each. One of these that may
survive anyhow is not tried.
"""

import ast
import difflib
import gc
import importlib
import inspect
import json
import math
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cosmic_ray.work_db import WorkDB
    from cosmic_ray.work_item import MutationSpec, WorkItem, WorkResult

MODULE, SESSION, TIMEOUT = "MUTATION_MODULE", "MUTATION_SESSION", "MUTATION_TIMEOUT_S"
"""Environment: the file that is mutated, cosmic-ray's database, and after how long a mutant counts as noticed, if the
tests take no longer without one."""
TIMES = 4
"""So much longer than without a mutant the tests may take: a busy machine is no test that notices."""
UNKNOWN = 255
"""Exit status of a fork that broke, was killed or went red late."""
Change = tuple[FunctionType, FunctionType]
"""A function that the tests have imported, and its mutant."""


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Try every mutant that is pending, if the tests are green without one."""
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import WorkerOutcome, WorkResult

    path = Path(os.environ[MODULE])
    module, source = sys.modules[".".join(path.with_suffix("").parts)], path.read_text()
    reached, took_s = _reached(session, str(module.__file__))
    limit_s = max(float(os.environ[TIMEOUT]), TIMES * sum(took_s.values()))
    red: Counter[str] = Counter()
    """What has noticed most is asked first, and then what takes the least time."""
    with use_db(os.environ[SESSION], WorkDB.Mode.open) as database:
        for item in database.pending_work_items:
            mutated = _mutated(source, item.mutations[0])
            if mutated is None:
                database.set_result(item.job_id, WorkResult(WorkerOutcome.NO_TEST))
            elif changes := list(_changes(vars(module), _run(module, mutated))):
                names = {old.__qualname__ for old, _ in changes}
                tests = [test for test in session.items if names & reached[test.nodeid]]
                tests.sort(key=lambda test: (-red[test.nodeid], took_s[test.nodeid]))
                first = _first_red(session, tests, changes, math.ceil(limit_s))
                red.update(test.nodeid for test in tests[first - 1 : first])
                database.set_result(item.job_id, _result(source, mutated, noticed=first != 0))
            else:
                _spare(database, item, path, _result(source, mutated, noticed=False))
    return True


def _spare(database: "WorkDB", item: "WorkItem", path: Path, result: "WorkResult") -> None:
    """Take a mutant that may survive for one that did: what it would cost to try it tells nothing."""
    from mutation.explained import explanation
    from mutation.run import mutant_of

    if explanation(mutant_of(str(path), path.read_text(), item.mutations[0], result)):
        database.set_result(item.job_id, result)


def _mutated(source: str, spec: "MutationSpec") -> str | None:
    """Return the mutated source; ``None`` if it is no Python (``not`` before an assignment expression)."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    operator = get_operator(spec.operator_name)(**spec.operator_args)
    mutated: str = mutate_code(source, operator, spec.occurrence)
    try:
        ast.parse(mutated)
    except SyntaxError:
        return None
    return mutated


def _run(module: ModuleType, source: str) -> Mapping[str, Any]:
    """Return what a module defines; nothing if it cannot be imported, which a fresh process will notice."""
    names: dict[str, Any] = {"__name__": module.__name__, "__file__": module.__file__}
    try:
        exec(compile(source, str(module.__file__), "exec"), names)  # noqa: S102 - the module, changed in one place
    except Exception:  # noqa: BLE001 - whatever a mutant raises, such as a pattern that is none
        return {}
    return names


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the functions and methods of a module that differ."""
    for name, one in old.items():
        other = new.get(name)
        if isinstance(one, type) and isinstance(other, type) and one is not other:
            yield from _changes(vars(one), vars(other))
            continue
        pair = _function(one), _function(other)
        if isinstance(pair[0], FunctionType) and isinstance(pair[1], FunctionType) and _differ(pair[0], pair[1]):
            yield pair[0], pair[1]


def _function(value: object) -> object:
    value = value.fget if isinstance(value, property) else value
    return inspect.unwrap(value) if callable(value) else value


def _differ(old: FunctionType, new: FunctionType) -> bool:
    """Whether a function of the file is changed; those that dataclass makes are of no file."""
    return old.__code__.co_filename == new.__globals__["__file__"] and (
        old.__code__,
        old.__defaults__,
        old.__kwdefaults__,
    ) != (new.__code__, new.__defaults__, new.__kwdefaults__)


def _first_red(session: pytest.Session, tests: Sequence[pytest.Item], changes: Sequence[Change], limit_s: int) -> int:
    def work() -> int:
        for old, new in changes:
            old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__
        return _run_tests(session, tests)

    return _fork(work, limit_s)


def _run_tests(session: pytest.Session, tests: Sequence[pytest.Item]) -> int:
    """Return the number, from 1, of the first test that is red; 0 if none is."""
    for number, (test, following) in enumerate(pairwise([*tests, None]), 1):
        assert test is not None
        session.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
        if session.testsfailed:
            return min(number, UNKNOWN)
    return 0


def _reached(session: pytest.Session, file: str) -> tuple[Mapping[str, set[str]], Mapping[str, float]]:
    """Run the tests without a mutant; return which functions of ``file`` each has called, and how long it took."""
    answer = Path(f"{os.environ[SESSION]}.reached")
    called: dict[str, list[str]] = {test.nodeid: [] for test in session.items}
    took_s: dict[str, float] = {}
    now: list[str] = []

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename == file:
            now.append(frame.f_code.co_qualname)

    class Turn:
        """Notes whose turn it is."""

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
            now.clear()
            began = time.monotonic()
            result = yield
            took_s[item.nodeid] = time.monotonic() - began
            called[item.nodeid] = sorted(set(now))
            return result

    def work() -> int:
        session.config.pluginmanager.register(Turn())
        threading.setprofile(watch)
        sys.setprofile(watch)
        status = _run_tests(session, session.items)
        sys.setprofile(None)
        answer.write_text(json.dumps([called, took_s, sorted(sys.modules)]))
        return status

    if _fork(work, 0):
        pytest.exit(f"the tests of {file} are not green", returncode=1)
    called, took_s, modules = json.loads(answer.read_text())
    for name in modules:
        with suppress(Exception):  # what is imported where it is used: once for all forks
            importlib.import_module(name)
    gc.freeze()
    return {name: set(functions) for name, functions in called.items()}, took_s


def _fork(work: Callable[[], int], limit_s: int) -> int:
    """Do ``work`` in a copy of this process and return what it does; one that takes longer is killed (0: none is)."""
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return status if status >= 0 else UNKNOWN
    signal.alarm(limit_s)
    status = UNKNOWN
    try:
        status = work()
    finally:
        os._exit(status)


def _result(source: str, mutated: str, *, noticed: bool) -> "WorkResult":
    from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

    diff = difflib.unified_diff(source.splitlines(), mutated.splitlines(), lineterm="")
    outcome = TestOutcome.KILLED if noticed else TestOutcome.SURVIVED
    return WorkResult(WorkerOutcome.NORMAL, "", outcome, "\n".join(diff))
