"""What each rung of the ladder sets in the env file."""

from dataclasses import replace

from drill.config import Config
from drill.envfile import FLAGS
from drill.reopen.rungs import ALLOWLIST, DUAL_WRITE, SAMPLE_RATE, SHADOW_READ, bottom, dual_write_rungs, shadow_rungs


def config(*, tenants: tuple[str, ...] = ("a", "b"), pilots: tuple[str, ...] = ()) -> Config:
    plain = Config()
    return replace(
        plain,
        service=replace(plain.service, tenants=list(tenants)),
        reopen=replace(plain.reopen, pilot_tenants=list(pilots), shadow_sample_rates=[0.1, 1.0]),
    )


def test_every_rung_leaves_the_backend_on_faiss_and_goes_one_flag_further() -> None:
    rungs = [*shadow_rungs(config(), {}), *dual_write_rungs(config(), {})]
    assert {rung.wanted["RETRIEVAL_BACKEND"] for rung in rungs} == {"faiss"}
    assert [(r.wanted[SHADOW_READ], r.wanted[SAMPLE_RATE], r.wanted[DUAL_WRITE]) for r in rungs] == [
        ("ON", "0.1", "OFF"),
        ("ON", "1", "OFF"),
        ("ON", "1", "ON"),
    ]
    assert all(ALLOWLIST not in rung.wanted for rung in rungs)


def test_pilot_tenants_come_first_and_the_last_rung_lets_everybody_in() -> None:
    chosen = config(pilots=("b",))
    rungs = [*shadow_rungs(chosen, {}), *dual_write_rungs(chosen, {})]
    assert [rung.wanted[ALLOWLIST] for rung in rungs] == ["b", "b", "b", "a,b"]
    assert [rung.tenants for rung in rungs] == [("b",), ("b",), ("b",), ("a", "b")]


def test_without_pilots_the_allow_list_of_the_service_says_who_takes_part() -> None:
    assert [rung.tenants for rung in shadow_rungs(config(), {ALLOWLIST: "b"})] == [("b",), ("b",)]
    assert [rung.tenants for rung in dual_write_rungs(config(), {ALLOWLIST: "b"})] == [("b",)]


def test_the_bottom_puts_back_sample_rate_and_allow_list_as_the_env_file_had_them() -> None:
    assert bottom(config(), {}).wanted == FLAGS
    assert bottom(config(), {SAMPLE_RATE: "0.25"}).wanted == {**FLAGS, SAMPLE_RATE: "0.25"}
    chosen = config(pilots=("b",))
    assert bottom(chosen, {ALLOWLIST: "a"}).wanted[ALLOWLIST] == "a"
    assert bottom(chosen, {}).wanted[ALLOWLIST] == "a,b"
