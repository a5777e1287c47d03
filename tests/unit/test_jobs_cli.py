"""Arguments of jobs: numbers within their bounds, overrides on both sides of an option."""

import argparse
import sys
from typing import Any

import pytest

from jobs import cli
from jobs.cli import rate, share


@pytest.mark.parametrize("text", ["0", "1", "nan", "5", "-1", "words"])
def test_a_share_lies_between(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"found '{text}', expected a number"):
        share(text)
    assert share("0.9") == 0.9


@pytest.mark.parametrize("text", ["nan", "1.1", "-1", "words"])
def test_a_rate_may_be_none_or_all(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"found '{text}', expected a number from 0 to 1"):
        rate(text)
    assert (rate("0"), rate("1")) == (0, 1)


def test_overrides_stand_on_both_sides_of_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    arguments = cli.parser("a job")
    arguments.add_argument("--k", type=int)
    arguments.set_defaults(check=True)  # no cluster
    monkeypatch.setattr(sys, "argv", ["job", "--config", "configs/quickstart.yaml", "seed=3", "--k", "2", "name=other"])
    monkeypatch.setattr(cli.logging, "basicConfig", lambda **how: None)  # pytest's own handlers stay
    monkeypatch.setattr(cli, "load_config", lambda file, overrides: seen.append((file, overrides)) or cli.RunConfig())
    assert cli.main(lambda config, storage, args: {"k": args.k}, arguments) == 0
    assert seen == [("configs/quickstart.yaml", ["seed=3", "name=other"])]
