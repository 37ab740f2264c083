"""Each row of the table of HTTP statuses, on a real gunicorn with a real Redis."""

from __future__ import annotations

import hashlib
import time

import pytest
from redis import Redis

from tests.gateway.conftest import StartEdge
from tests.support.edge import Edge, bench_headers, event, standard_headers
from tests.support.servers import RedisServer, await_true


@pytest.fixture
def quiet_edge(start_edge: StartEdge, redis_server: RedisServer) -> Edge:
    """With a log of its own, in which no line can be left out for the sake of earlier ones."""
    return start_edge(redis_server.url)


def await_readyz(edge: Edge, **facts: object) -> None:
    """Wait until /readyz reports the facts; its answer may be a quarter of a second old."""
    await_true(lambda: facts.items() <= edge.get("/readyz").json.items(), 2, f"{facts}")


def stored(store: Redis) -> list[object]:
    """The waiting ids of all sources."""
    keys = sorted(store.keys("{gw:0}:ready:lookup:*"))
    return [id for key in keys for id in store.lrange(key, 0, -1)]


def test_202_means_that_the_exact_bytes_are_in_redis(edge: Edge, store: Redis) -> None:
    body = b' {"id" : "evt_1", "n": 1.50, "t": "\\u00e9" }\n'
    reply = edge.post(body)
    assert (reply.status, reply.body) == (202, b'{"status":"accepted","id":"bench:evt_1"}')
    assert reply.headers["content-type"] == "application/json"
    assert store.get("{gw:0}:body:bench:evt_1") == body.decode()
    assert stored(store) == ["bench:evt_1"]


def test_202_for_a_standard_webhook_under_its_signed_id(edge: Edge, store: Redis) -> None:
    body = event("in_the_body")
    reply = edge.request("POST", "/v1/events/standard", body, standard_headers(body, "msg_1"))
    assert (reply.status, reply.json["id"]) == (202, "standard:msg_1")


def test_202_for_an_event_without_an_id_under_the_hash_of_its_body(
    edge: Edge, store: Redis
) -> None:
    body = event("ignored")
    reply = edge.post(body, "nameless")
    assert reply.json["id"] == "nameless:" + hashlib.sha256(body).hexdigest()
    assert edge.post(body, "nameless").status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        "application/vnd.courier.v2+json",
        'application/json; charset="utf-8"',
    ],
)
def test_202_for_every_json_content_type(edge: Edge, store: Redis, content_type: str) -> None:
    assert edge.post(event("evt_1"), Content_Type=content_type).status == 202


def test_200_for_a_duplicate_and_nothing_is_stored_twice(edge: Edge, store: Redis) -> None:
    replies = [edge.post(event("evt_1")) for _ in range(3)]
    assert [reply.status for reply in replies] == [202, 200, 200]
    assert replies[1].body == b'{"status":"duplicate","id":"bench:evt_1"}'
    assert stored(store) == ["bench:evt_1"]


def test_200_for_a_duplicate_with_another_body_which_is_logged(
    quiet_edge: Edge, store: Redis
) -> None:
    edge = quiet_edge
    edge.post(event("evt_c"))
    assert edge.post(event("evt_c", status="delivered")).json["status"] == "duplicate"
    assert store.hget("{gw:0}:stats", "conflicting") == "1"
    assert store.get("{gw:0}:body:bench:evt_c") == event("evt_c").decode()
    assert "conflicting duplicate id=bench:evt_c remote=127.0.0.1" in edge.log


def test_the_same_id_from_two_sources_is_two_events(edge: Edge, store: Redis) -> None:
    assert [edge.post(event("evt_1"), source).status for source in ("bench", "narrow")] == [202] * 2


def test_an_id_in_any_script_is_returned_unchanged(edge: Edge, store: Redis) -> None:
    assert edge.post(event('evt: "é" 中')).json["id"] == 'bench:evt: "é" 中'


@pytest.mark.parametrize(
    ("body", "problem", "detail"),
    [
        (b"", "not-json", "line 1 column 1"),
        (b'{"id":\n nope}', "not-json", "line 2 column 2"),
        (b'{"id":"evt_1"} trailing', "not-json", "line 1 column 16"),
        (b'{"id":"\xff"}', "not-json", ""),
        (b'{"id":"\\ud800"}', "not-json", ""),
        (b'{"id":NaN}', "not-json", ""),
        (b"[" * 100_000, "not-json", ""),
        (b'["evt_1"]', "not-an-object", None),
        (b'"evt_1"', "not-an-object", None),
        (b"null", "not-an-object", None),
        (b"{}", "no-event-id", "the event id at /id is missing"),
        (b'{"id":null}', "no-event-id", "neither a string nor a whole number"),
        (b'{"id":""}', "no-event-id", "is empty"),
        (b'{"id":"a\\nb"}', "no-event-id", "cannot be printed"),
        (b'{"id":"' + b"x" * 201 + b'"}', "no-event-id", "more than 200 characters"),
    ],
)
def test_400_says_what_is_wrong_and_where(
    edge: Edge, store: Redis, body: bytes, problem: str, detail: str | None
) -> None:
    reply = edge.post(body)
    assert (reply.status, reply.problem) == (400, problem)
    assert detail is None or detail in reply.json["detail"]
    assert stored(store) == []


def test_400_for_a_signed_id_that_cannot_be_used(edge: Edge, store: Redis) -> None:
    headers = standard_headers(event("evt_1"), "m" * 201)
    reply = edge.request("POST", "/v1/events/standard", event("evt_1"), headers)
    assert (reply.status, reply.problem) == (400, "no-event-id")


def test_401_is_the_same_for_every_reason_and_the_log_names_the_reason(
    quiet_edge: Edge, store: Redis
) -> None:
    edge = quiet_edge
    body = event("evt_1")
    right = bench_headers(body)["X-Signature"]
    replies = [
        edge.post(body, X_Signature=None),
        edge.post(body, X_Signature=""),
        edge.post(body, X_Signature="sha256=zz"),
        edge.post(body, X_Signature=right.removeprefix("sha256=")),
        edge.post(body, X_Signature="sha256=" + "0" * 64),
        edge.post(body, X_Signature="sha256=\xff"),
        edge.post(b"not json", X_Signature=right),
        edge.request(
            "POST", "/v1/events/standard", body, standard_headers(body, "msg_1", time.time() - 301)
        ),
    ]
    assert {reply.status for reply in replies} == {401}
    assert {reply.problem for reply in replies} == {"unauthenticated"}
    assert len({reply.body for reply in replies}) == 1
    assert stored(store) == []
    for reason in ("missing", "malformed", "mismatch"):
        assert f"refused source=bench reason={reason} remote=127.0.0.1" in edge.log
    assert "refused source=standard reason=timestamp_outside_tolerance" in edge.log
    assert right.removeprefix("sha256=") not in edge.log
    assert "bench-secret" not in edge.log


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/v1/events/unknown", "unknown-source"),
        ("/v1/events/off", "unknown-source"),
        ("/v1/events/BENCH", "unknown-source"),
        ("/v1/events/%00", "unknown-source"),
        ("/v1/events/", "unknown-source"),
        ("/v1/events/bench/", "not-found"),
        ("/", "not-found"),
        ("/v2/events/bench", "not-found"),
    ],
)
def test_404_for_unknown_sources_and_paths(edge: Edge, path: str, problem: str) -> None:
    body = event("evt_1")
    reply = edge.request("POST", path, body, bench_headers(body))
    assert (reply.status, reply.problem) == (404, problem)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/events/bench", "POST"),
        ("PUT", "/v1/events/bench", "POST"),
        ("OPTIONS", "/v1/events/bench", "POST"),
        ("DELETE", "/v1/events/bench", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/readyz", "GET, HEAD"),
    ],
)
def test_405_names_the_methods_that_are_allowed(
    edge: Edge, method: str, path: str, allow: str
) -> None:
    reply = edge.request(method, path)
    assert (reply.status, reply.problem) == (405, "method-not-allowed")
    assert reply.headers["allow"] == allow


def test_411_without_a_content_length(edge: Edge) -> None:
    status, content = edge.raw("Content-Type: application/json")
    assert (status, b"length-required" in content) == (411, True)


def test_411_for_a_chunked_body(edge: Edge, store: Redis) -> None:
    body = event("evt_1")
    lines = [f"{name}: {text}" for name, text in bench_headers(body).items()]
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    status, content = edge.raw("Transfer-Encoding: chunked", *lines, body=chunks)
    assert (status, b"length-required" in content) == (411, True)
    assert stored(store) == []


@pytest.mark.parametrize("coding", ["chunked", "xchunked", "identity"])
def test_a_transfer_encoding_together_with_a_content_length_is_never_accepted(
    edge: Edge, store: Redis, coding: str
) -> None:
    body = event("evt_1")
    lines = [f"{name}: {text}" for name, text in bench_headers(body).items()]
    status, _ = edge.raw(
        f"Content-Length: {len(body)}", f"Transfer-Encoding: {coding}", *lines, body=body
    )
    assert status in (400, 411, 501)  # some of them from the server itself
    assert stored(store) == []


@pytest.mark.parametrize("length", ["-1", "+5", "0x5", "5 5", "five", "1" * 30])
def test_an_invalid_content_length_is_rejected(edge: Edge, length: str) -> None:
    status, _ = edge.raw(
        f"Content-Length: {length}", "Content-Type: application/json", body=b"x" * 55
    )
    assert status in (400, 413)


def test_413_for_one_byte_more_than_allowed(edge: Edge, store: Redis) -> None:
    limit = 262_144
    padding = limit - len(event("evt_1", p=""))
    assert edge.post(event("evt_1", p="x" * padding)).status == 202
    reply = edge.post(event("evt_2", p="x" * (padding + 1)))
    assert (reply.status, reply.problem) == (413, "too-large")
    assert stored(store) == ["bench:evt_1"]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/json, text/plain",
        "application/",
    ],
)
def test_415_for_anything_but_json(edge: Edge, store: Redis, content_type: str | None) -> None:
    reply = edge.post(event("evt_1"), Content_Type=content_type)
    assert (reply.status, reply.problem) == (415, "unsupported-media-type")
    assert stored(store) == []


def test_429_over_the_quota_with_the_time_to_wait_and_no_effect_on_other_sources(
    edge: Edge, store: Redis
) -> None:
    replies = [edge.post(event(f"evt_{n}"), "narrow") for n in range(4)]
    assert [reply.status for reply in replies] == [202, 202, 429, 429]
    assert replies[2].problem == "over-quota"
    assert replies[2].headers["retry-after"] == "2"
    assert edge.post(event("evt_0"), "narrow").status == 200  # a duplicate costs no quota
    assert edge.post(event("evt_9")).status == 202


def test_503_when_the_backlog_is_full_and_duplicates_are_still_recognised(
    start_edge: StartEdge, redis_server: RedisServer, store: Redis
) -> None:
    edge = start_edge(redis_server.url, BACKLOG_MAX_EVENTS="2")
    replies = [edge.post(event(f"evt_{n}")) for n in (1, 2, 3)]
    assert [reply.status for reply in replies] == [202, 202, 503]
    assert replies[2].problem == "backlog-full"
    assert int(replies[2].headers["retry-after"]) >= 1
    assert edge.post(event("evt_1")).status == 200
    ready = edge.get("/readyz")
    assert (ready.status, ready.problem) == (503, "not-ready")
    assert edge.get("/healthz").status == 200


def test_503_has_a_retry_after_computed_from_the_rate_at_which_the_backlog_drains(
    start_edge: StartEdge, redis_server: RedisServer, store: Redis
) -> None:
    edge = start_edge(redis_server.url, BACKLOG_MAX_EVENTS="200")
    store.hset("{gw:0}:stats", mapping={"backlog": 200, "drain_per_second": 2})
    assert edge.post(event("evt_1")).headers["retry-after"] == "5"  # a twentieth, at 2 a second


def test_healthz_and_readyz_answer_get_and_head(edge: Edge, store: Redis) -> None:
    assert edge.get("/healthz").json == {"status": "ok"}
    edge.post(event("evt_1"))
    await_readyz(edge, status="ready", durability="always", backlog=1)
    for path in ("/healthz", "/readyz"):
        head = edge.request("HEAD", path)
        assert (head.status, head.body) == (200, b"")


def test_readyz_reports_that_redis_may_lose_confirmed_writes(edge: Edge, store: Redis) -> None:
    store.config_set("appendfsync", "everysec")
    try:
        await_readyz(edge, durability="everysec")
    finally:
        store.config_set("appendfsync", "always")
