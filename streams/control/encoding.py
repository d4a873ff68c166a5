"""How does an answer travel? With an ETag, so that what is known is not sent again, and through gzip where that helps.

The two forms of an answer are two representations of it (RFC 9110 §8.8.3): the packed one has an ETag of its own.
"""

import asyncio
import gzip
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence

from aiohttp import ETag, web

WORTH_BYTES = 1_024  # below that a header costs more than it saves
_THREAD_BYTES = 64 * 1024  # packing more than this takes longer than handing it to a thread
_LEVEL = 4  # JSON and HTML: a tenth of the size; 9 takes four times as long for a twentieth less
_PACKED = "-gzip"
_READS = ("GET", "HEAD")
_Q = re.compile(r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def takes_gzip(accept: str) -> bool:
    """Whether an `Accept-Encoding` allows gzip.

    >>> [takes_gzip(said) for said in ("gzip, br", "br;q=1, *;q=0.1", "gzip;q=0, *", "identity", "")]
    [True, True, False, False, False]
    """
    weights: dict[str, float] = {}
    for part in accept.lower().split(","):
        name, _, parameter = part.partition(";")
        found = _Q.fullmatch(parameter)
        weights[name.strip()] = float(found[1]) if found else 1.0
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def representation(digest: str, packed: bool) -> str:
    """The ETag's value of one form of an answer.

    >>> representation("9f2c", packed=True)
    '9f2c-gzip'
    """
    return digest + _PACKED if packed else digest


def is_known(known: Iterable[ETag] | None, tag: str) -> bool:
    """Whether a client that names these ETags has this form already; weakly compared (RFC 9110 §13.1.2)."""
    return any(etag.value in (tag, "*") for etag in known or ())


@web.middleware
async def encoded(request: web.Request, handler: Answer) -> web.StreamResponse:
    """Give every plain answer to a reader its ETag, pack it, or say that it is known."""
    response = await handler(request)
    if request.method not in _READS or not isinstance(response, web.Response):
        return response
    body = response.body
    if not isinstance(body, bytes) or response.status != 200 or response.etag is not None:
        return response
    response.headers["Vary"] = "Accept-Encoding"
    packed = len(body) >= WORTH_BYTES and takes_gzip(request.headers.get("Accept-Encoding", ""))
    tag = representation(hashlib.sha256(body).hexdigest()[:32], packed)
    if is_known(request.if_none_match, tag):
        return not_modified(tag)
    response.etag = tag
    if packed:
        response.body = await pack(body)
        response.headers["Content-Encoding"] = "gzip"
    return response


def not_modified(tag: str, headers: Sequence[tuple[str, str]] = ()) -> web.Response:
    """304: the client has it."""
    answer = web.Response(status=304, headers=[("Vary", "Accept-Encoding"), *headers])
    answer.etag = tag
    return answer


async def pack(body: bytes) -> bytes:
    """Through gzip; what is large in a thread, where others can be answered meanwhile (zlib lets go of the lock)."""
    if len(body) < _THREAD_BYTES:
        return gzip.compress(body, _LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
