"""``python -m gateway`` without Redis: what it prints may end up in a log."""

from __future__ import annotations

import pytest

from gateway.cli.main import main


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hidden@127.0.0.1:1/0",
        "redis://user:hidden@127.0.0.1:1/0",
        "redis://127.0.0.1:1/0?password=hidden&protocol=2",
    ],
)
def test_a_redis_that_does_not_answer_is_named_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert main(["status"]) == 69
    printed = capsys.readouterr().err
    assert "127.0.0.1:1" in printed
    assert "hidden" not in printed
