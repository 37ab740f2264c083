"""Commands go through the socket that redis-py opened, for every form of connection."""

from __future__ import annotations

from redis import Redis

from scheduler.connection import RedisConnection
from scheduler.queue import Queue
from tests.support.queue_moves import ID, accept, take_one
from tests.support.servers import RedisServer
from tests.support.tls_proxy import TlsProxy


def test_a_password_and_a_database_of_the_url_are_used(own_server: RedisServer) -> None:
    own_server.client().config_set("requirepass", "s3cret")
    url = own_server.url.replace("unix://", "unix://:s3cret@") + "?db=5"
    assert b"db=5" in RedisConnection(url).command("CLIENT", "INFO")


def test_the_queue_works_over_tls(store: Redis, redis_server: RedisServer) -> None:
    with TlsProxy(redis_server.url) as proxy:
        connection = RedisConnection(f"rediss://127.0.0.1:{proxy.port}/0?ssl_cert_reqs=none")
        queue = Queue(connection)
        body = bytes(range(256)) * 1000  # many TLS records, many reads
        accept(queue, ID, body=body)
        assert take_one(queue).body == body
        assert connection.readable(0) is False
        connection.close()


def test_replies_longer_than_a_read_and_empty_ones_are_complete(redis_server: RedisServer) -> None:
    connection = RedisConnection(redis_server.url)
    for value in (b"", b"x" * 1_000_000, b"\r\n$5\r\n"):
        assert connection.command("ECHO", value) == value
    assert connection.command("GET", "nothing") is None
    assert connection.command("EVAL", "return {1, {}, {'a', false}}", 0) == [1, [], [b"a", None]]
