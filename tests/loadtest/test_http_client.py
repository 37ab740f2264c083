"""The client posts each request once and returns its result."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from loadtest.harness.http_client import Connection, Request, burst

REQUEST = Request("/v1/events/bench", {"X-Signature": "s"}, b"{}")
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def server(*answers: bytes, keep: bool = False) -> Iterator[str]:
    """Gives one answer to each request; closes the connection after it unless ``keep``."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:

        def serve() -> None:
            left = list(answers)
            while left:
                connection, _ = listener.accept()
                with connection:
                    while left and connection.recv(65_536):
                        connection.sendall(left.pop(0))
                        if not keep:
                            break

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_request_is_sent_as_http() -> None:
    head, _, body = REQUEST.encoded("edge:8080").partition(b"\r\n\r\n")
    assert body == b"{}"
    assert head.split(b"\r\n") == [
        b"POST /v1/events/bench HTTP/1.1",
        b"Host: edge:8080",
        b"Content-Type: application/json",
        b"Content-Length: 2",
        b"X-Signature: s",
    ]
    assert b"\r\nConnection: close\r\n" in REQUEST.encoded("edge:8080", close=True)


def test_a_kept_connection_serves_several_requests() -> None:
    with server(ACCEPTED, ACCEPTED, keep=True) as url:
        connection = Connection(url, 5)
        replies = [connection.post(REQUEST) for _ in range(2)]
        connection.close()
    assert [(reply.status, reply.body) for reply in replies] == [(202, b"ok")] * 2


def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    with server(ACCEPTED, ACCEPTED) as url:
        connection = Connection(url, 5)
        assert connection.post(REQUEST).status == 202
        while not connection_ended(connection):
            pass
        assert connection.post(REQUEST).status == 202
        connection.close()


def connection_ended(connection: Connection) -> bool:
    with socket.socket(fileno=os.dup(connection.fileno())) as copy:
        copy.settimeout(5)
        return copy.recv(1, socket.MSG_PEEK) == b""


def test_what_went_wrong_is_in_the_reply() -> None:
    with server(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nok") as url:
        cut_off = Connection(url, 5).post(REQUEST)
    refused = Connection(url, 5).post(REQUEST)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        late = Connection(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.1).post(REQUEST)
    assert [(reply.status, reply.error) for reply in (cut_off, refused, late)] == [
        (0, "ServerDisconnected"),
        (0, "ConnectionRefusedError"),
        (0, "TimeoutError"),
    ]
    assert late.ms >= 100


def test_a_burst_has_a_reply_for_each_request_in_order() -> None:
    answers = [ACCEPTED.replace(b"ok", b"%02d" % number) for number in range(20)]
    with server(*answers) as url:
        replies = burst(url, [REQUEST] * 21, timeout_seconds=1)
    assert [reply.body for reply in replies[:20]] == [b"%02d" % number for number in range(20)]
    assert replies[20].status == 0
