"""``python -m sandbox up|down|status|reload|fault NAME|oddity NAME``: the embedded stack by hand."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from sandbox.errors import SandboxError
from sandbox.home import ROOT, Home
from sandbox.stack import Stack, clean_up

_ARTICLE = {"fault": "a fault", "oddity": "an oddity (at work from the next reload on)"}
DEFAULT_HOME = ROOT / ".sandbox"


def main() -> int:
    """Run one command; 0 if it worked, 1 with one line on standard error if it did not."""
    arguments = _parser().parse_args()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _interrupted)
    try:
        arguments.run(arguments)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="The embedded stack to drill against.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home", type=Path, default=DEFAULT_HOME, help="its directory (default: .sandbox)")

    up = commands.add_parser("up", parents=[common], help="start the stack, in an incident")
    up.add_argument("--healthy", action="store_true", help="same flags, but the target is well and nothing diverges")
    up.add_argument("--no-traffic", action="store_true", help="without background users")
    up.add_argument("--fault", action="append", default=[], metavar="NAME[@INSTANCE]", help="on from the beginning")
    up.add_argument("--foreground", action="store_true", help="stay, and take the stack down at the end")
    up.add_argument(
        "--metrics",
        choices=("auto", "prometheus", "scrape"),
        default="auto",
        help="with Prometheus and alerts, without, or with them if they are on the PATH (default)",
    )
    up.set_defaults(run=_up)

    for name, run, text in (
        ("down", _down, "stop the stack and remove what it made"),
        ("status", _status, "show what runs"),
        ("reload", _reload, "restart the instances one after the other"),
        ("replay", _replay, "send the target what waits in the outboxes"),
    ):
        commands.add_parser(name, parents=[common], help=text).set_defaults(run=run)

    for kind in ("fault", "oddity"):
        switch = commands.add_parser(kind, parents=[common], help=f"switch {_ARTICLE[kind]} on or off")
        switch.add_argument("name", nargs="?")
        switch.add_argument("--instance", type=int, choices=(0, 1), help="only there (default: everywhere)")
        switch.add_argument("--off", action="store_true")
        switch.add_argument("--list", action="store_true", help="show all")
        switch.set_defaults(run=_switch, kind=kind)
    return parser


def _interrupted(_signum: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _up(arguments: argparse.Namespace) -> None:
    stack = Stack.start(
        arguments.home,
        incident=not arguments.healthy,
        traffic=not arguments.no_traffic,
        faults=arguments.fault,
        owned=arguments.foreground,
        metrics=arguments.metrics,
    )
    env_file = _shown(stack.env_file)
    print(f"sandbox is up: {' '.join(stack.base_urls)}")
    print(f"prometheus:             {stack.prometheus_url or 'none: metrics are read from the instances, no alerts'}")
    print(f"rehearse the rollback:  pytest drill_tests --env-file {env_file}")
    print(f"perform it:             pytest drill_tests --env-file {env_file} --apply")
    if arguments.foreground:
        print("Ctrl-C stops it", flush=True)
        _until_interrupted(stack)
        return
    home = "" if arguments.home == DEFAULT_HOME else f" --home {_shown(stack.home)}"
    print(f"stop it:                python -m sandbox down{home}")
    stack.release()


def _until_interrupted(stack: Stack) -> None:
    with stack:
        while stack.running:
            time.sleep(0.2)


def _down(arguments: argparse.Namespace) -> None:
    clean_up(Home(arguments.home.resolve()))
    print("sandbox is down")


def _status(arguments: argparse.Namespace) -> None:
    stack = Stack.attach(arguments.home)
    status = stack.status()
    for url, pid in zip(stack.base_urls, status.instances, strict=True):
        print(f"{url}  {f'pid {pid}' if pid else 'not running'}")
    for name, instances in status.faults.items():
        print(f"fault {name} on instance {', '.join(map(str, instances))}")
    print("background users: " + (", ".join(f"{n} {kind}" for kind, n in status.traffic.items()) or "none"))


def _reload(arguments: argparse.Namespace) -> None:
    Stack.attach(arguments.home).reload(whole=False)


def _replay(arguments: argparse.Namespace) -> None:
    left = Stack.attach(arguments.home).replay_outbox()
    print(f"{left} documents still wait" if left else "the outboxes are empty")


def _switch(arguments: argparse.Namespace) -> None:
    if arguments.list:
        from sandbox.faults import FAULTS
        from sandbox.oddities import ODDITIES

        table = FAULTS if arguments.kind == "fault" else ODDITIES
        for one in sorted(table.values(), key=lambda one: one.name):
            print(f"{one.name:28} {one.doc}")
        return
    if not arguments.name:
        raise SandboxError(f"which one? `python -m sandbox {arguments.kind} --list` shows all")
    Stack.attach(arguments.home).fault(arguments.name, arguments.instance, on=not arguments.off)


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
