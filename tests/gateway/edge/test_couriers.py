"""Events of every courier, signed by its own library and by ``send``, posted to a real edge."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import pytest

from conf.settings import load
from gateway.cli.send import send
from tests.support import couriers
from tests.support.couriers import COURIERS, SECRETS, Courier
from tests.support.edge import Edge
from tests.support.servers import RedisServer, redis_binaries


@pytest.fixture(scope="module")
def edge(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge with all couriers configured, and its own Redis."""
    server = RedisServer(redis_binaries()[-1], tmp_path_factory.mktemp("redis")).start()
    edge = Edge(tmp_path_factory.mktemp("edge"), server.url, kind, PROFILE="production", **SECRETS)
    (edge.folder / "sources.toml").write_text(couriers.SOURCES, "utf-8")
    try:
        yield edge.start()
    finally:
        edge.stop()
        server.stop()


each = pytest.mark.parametrize(("preset", "courier"), COURIERS.items(), ids=COURIERS)


@each
def test_an_event_is_accepted_once_from_its_courier_and_rejected_from_any_other(
    edge: Edge, preset: str, courier: Courier
) -> None:
    body = courier.body("evt_1")
    headers = {"Content-Type": "application/json"} | courier.signed(body, "evt_1")
    first, again = (edge.request("POST", f"/v1/events/{preset}", body, headers) for _ in range(2))
    assert (first.status, again.status) == (202, 200), first.body
    assert first.json["id"] == again.json["id"]
    name = first.json["id"].removeprefix(f"{preset}:")
    assert name == "evt_1" if courier.names_events else len(name) == 64
    forged = {header: text[:-4] + "AAAA" for header, text in headers.items()}
    forged |= {"Content-Type": "application/json"}
    assert edge.request("POST", f"/v1/events/{preset}", body, forged).status == 401


@each
def test_an_event_of_the_send_command_is_accepted_as_the_couriers(
    edge: Edge, preset: str, courier: Courier, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load(edge.environ)
    arguments = Namespace(
        source=preset,
        id="evt_sent",
        shipment="SHP-2",
        status="in_transit",
        at=None,
        url=f"http://127.0.0.1:{edge.port}",
        environ=edge.environ,
    )
    assert send(settings, arguments) == 0
    output = capsys.readouterr().out
    name = f"{preset}:evt_sent" if courier.names_events else f"{preset}:"
    assert output.startswith(f'202 {{"status":"accepted","id":"{name}')


def test_the_start_logs_a_warning_about_the_token_only_courier(edge: Edge) -> None:
    assert "dhl-push: token-only: its events are not signed" in edge.log
