"""Words that break servers, by experience.

No line is longer than 8 KB: in two parts, by folding or after a line without a colon, such a one
crashes meinheld (gateway/README.md), which is known.
"""

from __future__ import annotations

LINES: list[bytes] = [
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding : xchunked", b"Transfer-Encoding: identity",
    b"Transfer-Encoding:", b"Transfer-Encoding\t: x", b"Transfer_Encoding: x", b"TE: trailers",
    b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: +20",
    b"Content-Length: 99999999999999999999", b"Content-Length: 16777216", b"Content-Length: 0x10",
    b"Content-Length:\r\n 20", b"Content_Length: 20", b"Content-Length : 20", b"Content-Length:",
    b"Host: other.example", b"Host:", b"Host: a b", b"Host : x", b"Expect: 100-continue",
    b"Expect: 100-continue\0", b"Expect: nothing", b"Upgrade: h2c", b"Upgrade: websocket",
    b"Upgrade:", b"Connection: Upgrade", b"Connection: close", b"Connection: keep-alive",
    b"Connection: close, keep-alive", b"Connection: \xff", b"Connection:", b"Keep-Alive: 999",
    b"Proxy-Connection: close", b"X-Signature: sha256=", b"X-Signature: x", b"webhook-id: other",
    b"webhook-signature: v1,", b"webhook-timestamp: 99999999999999999999", b"webhook-id: \xc3\xa9",
    b"webhook-id: \xff", b"Content-Type: text/plain", b"Content-Type: application/json;charset=x",
    b"Content-Type: \0", b"X-A: b\0c", b"X-A: b\rc", b"X-A: b\nc", b"X-A: b\r\n folded",
    b"X-A:\r\n\tfolded", b"X\0A: b", b"X A: b", b": b", b"NoColon", b" leading: blank", b"",
    b"X-A: " + b"a" * 4000, b"X" * 2000 + b": a", b"\r", b"\x80: y",
    b"X-\xc3\xa9: y", b'X"A: y', b"Content-Encoding: gzip", b"Trailer: X-Signature",
    b"Content-Transfer-Encoding: binary", b"\r\n".join(b"X-%d: y" % n for n in range(200)),
    b"\r\n".join([b"X-Same: y"] * 200), b"GET /healthz HTTP/1.1", b"Sec-WebSocket-Key: x",
    b"Sec-WebSocket-Version: 13", b"SCRIPT_NAME: /v1", b"wsgi.input: x", b"Forwarded: for=x",
]

REQUEST_LINES: list[bytes] = [
    b"POST /v1/events/bench HTTP/1.0", b"POST /v1/events/bench HTTP/0.9", b"POST /v1/events/bench",
    b"POST /v1/events/bench HTTP/1.2", b"POST /v1/events/bench HTTP/2.0", b"POST  /  HTTP/1.1",
    b"POST http://x/v1/events/bench HTTP/1.1", b"POST //v1//events//bench HTTP/1.1",
    b"POST /v1/events/bench?a=%ff&&=&b HTTP/1.1", b"POST /v1/events/bench#f HTTP/1.1",
    b"POST /v1/events/%62ench HTTP/1.1", b"POST /v1/events/bench%00 HTTP/1.1",
    b"POST /v1/events/\xff HTTP/1.1", b"POST /v1/events/be\0nch HTTP/1.1", b"POST * HTTP/1.1",
    b"GET /v1/events/bench HTTP/1.1", b"HEAD /healthz HTTP/1.1", b"OPTIONS * HTTP/1.1",
    b"CONNECT x:80 HTTP/1.1", b"TRACE / HTTP/1.1", b"BREW /v1/events/bench HTTP/1.1",
    b"PUT /v1/events/bench HTTP/1.1", b"post /v1/events/bench HTTP/1.1", b"M-SEARCH * HTTP/1.1",
    b"PRI * HTTP/2.0", b"", b"\r\nPOST /v1/events/bench HTTP/1.1", b"\x16\x03\x01\x02\0\x01\0",
    b"POST /" + b"a" * 5000 + b" HTTP/1.1", b"POST /" + b"a" * 100_000 + b" HTTP/1.1",
    b"POST /v1/events/bench HTTP/1.1 ", b"POST /v1/events/bench HTTP/01.01",
    b"HEAD /readyz HTTP/1.1", b"POST /v1/events/..%2f..%2fhealthz HTTP/1.1",
    b"SUBSCRIBE /v1/events/bench HTTP/1.1",
]

BODIES: list[bytes] = [
    b"", b" ", b"\r\n\r\n", b"{", b"[]", b'["ID"]', b"null", b'"ID"', b"0", b"NaN", b"{}",
    b'{"id":"ID"}', b' {"id" : "ID" }\n', b'{"id":"ID"}x', b'{"id":"ID"}\0', b'\0{"id":"ID"}',
    b'\xef\xbb\xbf{"id":"ID"}', b'{"id":"first","id":"ID"}', b'{"id":"ID","id":null}',
    b'{"id":"ID","n":1e400}', b'{"id":"ID","n":123456789012345678901234567890}',
    b'{"id":"ID","n":-0.0,"m":1.50,"k":1E+2}', b'{"id":"ID","n":Infinity}',
    b'{"id":"ID","t":"\\ud800"}', b'{"id":"ID","t":"\\ud83d\\ude00"}', b'{"id":"ID","t":"\xff"}',
    b'{"id":"ID","t":"\xed\xa0\x80"}', b'{"id":"ID","t":"\\u0000"}', b'{"id":"ID","t":"\xc0\xae"}',
    b'{"\\u0069d":"ID"}', b'{"id":"ID","a":' + b"[" * 1000 + b"]" * 1000 + b"}",
    b'{"id":"ID","a":' + b"[" * 1030 + b"]" * 1030 + b"}", b"[" * 50_000,
    b'{"id":"ID","a":' + b'{"a":' * 900 + b"1" + b"}" * 901, b'{"id":"ID",}', b"{'id':'ID'}",
    b'{"id":"ID","t":"' + b"x" * 9000 + b'"}', b'{"id":"ID","shipment_id":"\\u001b[2J"}',
]

ID_VALUES: list[object] = [
    "ID", "ID é", "ID 中文", 'ID"\\/', "ID?a=b#c%00", "ID\u0000", "ID\n", "ID\u001b[31m",
    "ID\u007f", "ID\u202e", "ID\u200b", "ID\ufeff", "ID\u2028", "ID\ue000", "ID\u0378",
    "ID\U000e0041", "ID\u3164", "ID\ufe0f", "ID\u00a0", "ID\u00ad", "", " ", "ID" + "x" * 300,
    "é" * 200, "x" * 10_000, None, True, False, 0, -1, 7.5, 2**63, 2**64 - 1, 2**64, 10**40,
    -(2**63), [], {}, ["ID"], {"id": "ID"}, "ID ", " ID", "ID:ID", "-ID", "\ud800",
]

TOKENS: list[bytes] = [
    b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n", b":", b": ", b" ", b"\t", b",", b";", b"%", b"\xff",
    b"0", b"-", b"Content-Length: 3\r\n", b"\r\n ", b"HTTP/1.1", b"POST ", b"chunk", b'"', b"\\",
]
