"""/openapi.json describes the edge completely and correctly.

In addition, all tests check each answer of an edge against that edge's own description
(``Edge.request``).
"""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import falcon.testing
import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from conf.sources.loader import SCHEMES, load_sources
from conf.sources.model import Source
from gateway.courier.signing import sign
from gateway.edge import problems
from gateway.edge.app import Deps, create_app
from gateway.edge.problems import Problem
from scheduler.events import Acceptance, IncomingEvent
from tests.gateway.conftest import StartEdge
from tests.gateway.edge.test_app import Broken
from tests.support.contract import Answer, Contract
from tests.support.edge import Edge, bench_headers, event
from tests.support.servers import RedisServer, await_true

# Not documented: for requests that a later version of Falcon may reject itself.
UNDOCUMENTED = {"bad-request"}

EVENT_PATH = "/v1/events/{source}"

MORE_SOURCES = """
[stripe-like]
preset = "stripe"
secrets_env = ["STRIPE_LIKE"]
pointers = { event_id = "/a/id", shipment_id = "/a/b/c", status = "/status" }
statuses = { moving = "in_transit" }

[base64]
preset = "github"
encoding = "base64"
prefix = ""
secrets_env = ["BASE64"]
pointers = { shipment_id = "/s", status = "/t" }
dedup_fields = ["/scan"]
statuses = "canonical"

[agreed-token]
scheme = "token"
signature_header = "X-Token"
prefix = "Bearer "
authenticity = "token-only"
secrets_env = ["AGREED_TOKEN"]
pointers = { event_id = "/id", shipment_id = "/s", status = "/t" }
statuses = "canonical"

[absent]
preset = "github"
secrets_env = ["ABSENT"]
optional = true
pointers = { event_id = "/id", shipment_id = "/s", status = "/t" }
statuses = "canonical"
"""
SECRETS = {
    "STRIPE_LIKE": "stripe's hidden one",
    "BASE64": "another hidden one",
    "AGREED_TOKEN": "a hidden token",
    "EASYPOST_SECRET": "easypost's hidden one",
    "BENCH_SECRET": "hidden, too",
    "STANDARD_SECRET": "whsec_aGlkZGVuLCB0b28=",
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """Sources with every signature scheme."""
    path = tmp_path_factory.mktemp("sources") / "sources.toml"
    path.write_text(Path("conf/sources.toml").read_text() + MORE_SOURCES)
    return dict(load_sources(path, SECRETS, "production"))


class AcceptingProducer(Broken):
    """A producer that accepts every event."""

    def accept(self, event: IncomingEvent) -> Acceptance:
        return Acceptance("accepted", 1, 0)


@pytest.fixture(scope="module")
def client(sources: dict[str, Source]) -> falcon.testing.TestClient:
    return falcon.testing.TestClient(create_app(Deps(sources, AcceptingProducer, 5000)))


@pytest.fixture(scope="module")
def described(client: falcon.testing.TestClient) -> Any:
    return client.simulate_get("/openapi.json").json


def produce_all(edge: Edge, redis: RedisServer) -> None:
    """Cause every answer of an edge with BACKLOG_MAX_EVENTS=4 and MAX_BODY_BYTES=1000."""
    for method in ("GET", "HEAD"):
        edge.request(method, "/readyz")
    edge.post(event("evt_1"))
    edge.post(event("evt_1"))
    for body in (b"not json", b"[]", b"{}", event("x" * 1000)):
        edge.post(body)
    edge.post(event("evt_2"), X_Signature=None)
    edge.post(event("evt_2"), "unknown")
    edge.post(event("evt_2"), Content_Type="text/plain")
    edge.raw("Content-Type: application/json")
    edge.raw("Content-Type: application/json", "Content-Length: 5 5", body=b"x" * 55)
    edge.raw("Content-Type: application/json", "Content-Length: 10", body=b"{", last=True)
    for n in range(3):
        edge.post(event(f"evt_{n}"), "narrow")  # beyond its burst
    edge.post(event("evt_2"))
    for path in ("/healthz", "/readyz", "/openapi.json"):
        for method in ("GET", "HEAD", "POST"):
            edge.request(method, path)
    edge.get("/v1/events/bench")
    edge.get("/nowhere")
    edge.post(event("evt_3"))  # the backlog is full
    for method in ("GET", "HEAD"):
        await_true(partial(not_ready, edge, method), 5)
    redis.kill()
    edge.post(event("evt_3"))


def not_ready(edge: Edge, method: str) -> bool:
    return edge.request(method, "/readyz").status == 503


def produce_faults() -> set[Answer]:
    """The answers to unexpected exceptions, which no request can cause."""
    loaded = load_sources(Path("conf/sources.toml"), {}, "local")
    client = falcon.testing.TestClient(create_app(Deps(loaded, Broken, 1000)))
    contract = Contract(client.simulate_get("/openapi.json").json)
    for method, path in (("POST", "/v1/events/bench"), ("GET", "/readyz"), ("HEAD", "/readyz")):
        reply = client.simulate_request(
            method, path, body=event("e"), headers=bench_headers(event("e"))
        )
        contract.check(method, path, reply.status_code, dict(reply.headers), reply.content)
    return contract.answers


def test_the_edge_gives_exactly_the_documented_answers(
    start_edge: StartEdge, own_redis: RedisServer
) -> None:
    edge = start_edge(own_redis.url, BACKLOG_MAX_EVENTS="4", MAX_BODY_BYTES="1000")
    produce_all(edge, own_redis)
    assert edge.contract is not None
    assert edge.contract.foreseen() == edge.contract.answers | produce_faults()
    codes = {code for *_, code in edge.contract.foreseen()} - {""}
    known = {value.code for value in vars(problems).values() if isinstance(value, Problem)}
    assert codes == known - UNDOCUMENTED


def test_the_document_is_valid_openapi_3_1(described: Any) -> None:
    assert described["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(described).iter_errors()] == []


def test_an_invalid_document_is_recognised(described: Any) -> None:
    wrong = json.loads(json.dumps(described))
    del wrong["paths"][EVENT_PATH]["post"]["responses"]["202"]["description"]
    assert list(OpenAPIV31SpecValidator(wrong).iter_errors())


def test_the_documented_sources_are_the_enabled_ones(
    described: Any, sources: dict[str, Source]
) -> None:
    source, _ = described["paths"][EVENT_PATH]["post"]["parameters"]
    assert source["schema"]["enum"] == sorted(sources.keys() - {"absent"})
    assert {sources[name].signature.scheme for name in source["schema"]["enum"]} == SCHEMES.keys()


def test_the_documented_headers_and_example_of_each_source_are_accepted(
    client: falcon.testing.TestClient, described: Any, sources: dict[str, Source]
) -> None:
    operation = described["paths"][EVENT_PATH]["post"]
    schemes = described["components"]["securitySchemes"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert len(operation["security"]) == len(examples) == len(sources) - 1
    for requirement in operation["security"]:
        headers = {schemes[scheme]["name"] for scheme in requirement}
        name = next(iter(requirement)).partition(".")[0]
        body = orjson.dumps(examples[name]["value"])
        signed = sign(sources[name], "evt_1", body, time.time())
        assert signed.keys() == headers

        def post(present: dict[str, str], name: str = name, body: bytes = body) -> int:
            reply = client.simulate_post(
                f"/v1/events/{name}",
                body=body,
                headers={"Content-Type": "application/json", **present},
            )
            return int(reply.status_code)

        assert post(signed) == 202
        for left_out in headers:
            assert post({k: v for k, v in signed.items() if k != left_out}) == 401


def test_the_documented_body_limit_is_enforced(
    client: falcon.testing.TestClient, described: Any, sources: dict[str, Source]
) -> None:
    _, length = described["paths"][EVENT_PATH]["post"]["parameters"]
    limit = length["schema"]["maximum"]
    assert (length["name"], limit) == ("Content-Length", 5000)
    for size, status in ((limit, 202), (limit + 1, 413)):
        body = event("evt_1", p="x" * (size - len(event("evt_1", p=""))))
        headers = sign(sources["bench"], "", body, 0) | {"Content-Type": "application/json"}
        assert (
            client.simulate_post("/v1/events/bench", body=body, headers=headers).status_code
            == status
        )


def test_the_document_holds_no_secret_and_no_name_of_one(described: Any) -> None:
    text = json.dumps(described)
    for variable, secret in SECRETS.items():
        assert variable not in text
        assert secret not in text
    assert "demo-secret" not in text


def test_the_document_is_built_once_and_without_redis(client: falcon.testing.TestClient) -> None:
    replies = [client.simulate_get("/openapi.json") for _ in range(2)]
    assert replies[0].content == replies[1].content
    assert replies[0].headers["content-type"] == "application/json"
    head = client.simulate_head("/openapi.json")
    assert (head.status_code, head.content) == (200, b"")
