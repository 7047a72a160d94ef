"""Fetches and unpacks the content of an import, bounded in bytes and patience, and stoppable at every chunk."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpcore
import httpx

from nodeexec.libvirt.guarded_transport import DeniedAddressError, TooSlowError
from nodeexec.libvirt.settings import ImportLimits
from nodeexec.libvirt.source_access import BadAuthoritiesError, transport_for
from nodeexec.libvirt.volume_files import VolumeError
from reconciler.model.plain_text import one_line
from reconciler.model.resolved import SourceAccess

_CHUNK = 1 << 20
_NETWORK_CHUNK = 1 << 16
_GZIP_MAGIC, _XZ_MAGIC, _ZSTD_MAGIC = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_XZ_MEMORY = 256 << 20
_FAULTS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    TooSlowError,
    ValueError,
)
_ALGORITHMS = ("sha256", "sha512", "sha384", "sha224", "sha1", "md5")

KeepGoing = Callable[[], None]
"""Called between chunks; raises to stop the work."""


class ImportFailedError(VolumeError):
    """The source cannot be imported (now); the message says why."""


def download(
    url: str,
    target: Path,
    *,
    access: SourceAccess | None = None,
    checksum: str,
    limits: ImportLimits,
    keep_going: KeepGoing,
    total: Callable[[int], None],
) -> None:
    """Stream ``url`` into ``target``; ``access`` has what opens it; ``checksum`` is ``ALGORITHM:HEX`` of these bytes, or empty. ``total`` hears the size
    that the server announces.

    Raises:
        ImportFailedError: not fetched, over the limit, or not what the checksum says.
        OSError: the disk is full.
    """
    digest, expected = _digest(checksum)
    shown = without_secrets(url)
    if urlsplit(url).scheme not in ("http", "https"):
        raise ImportFailedError(f"{shown}: only http and https can be imported from")
    try:
        with (
            _client(access, limits) as client,
            client.stream("GET", url, headers={"accept-encoding": "identity", "user-agent": "gitvirt"}) as answer,
            target.open("wb") as file,
        ):
            os.fchmod(file.fileno(), 0o600)
            announced = _announced(answer, shown, limits)
            total(announced)
            received = 0
            for chunk in _chunks(answer, shown, limits):
                keep_going()
                received += len(chunk)
                digest.update(chunk)
                file.write(chunk)
    except BadAuthoritiesError as error:
        raise ImportFailedError(f"{shown}: {error}") from error
    except DeniedAddressError as error:
        raise ImportFailedError(f"{shown}: nothing is fetched from there: {error}") from error
    except _FAULTS as error:
        raise ImportFailedError(f"{shown} could not be fetched: {_said(error)}") from error
    if announced and received != announced:
        raise ImportFailedError(f"{shown} ended after {received} of {announced} bytes")
    if expected and digest.hexdigest() != expected:
        raise ImportFailedError(
            f"{shown}: the checksum is {digest.name}:{digest.hexdigest()}, the manifest says {checksum}; "
            f"the file was changed or damaged"
        )


def _client(access: SourceAccess | None, limits: ImportLimits) -> httpx.Client:
    return httpx.Client(
        transport=transport_for(access, limits),
        trust_env=False,
        follow_redirects=True,
        max_redirects=limits.max_redirects,
        timeout=httpx.Timeout(limits.stall_timeout_s, connect=limits.connect_timeout_s),
    )


def _announced(answer: httpx.Response, shown: str, limits: ImportLimits) -> int:
    """The size that the server tells, 0 for none.

    Raises:
        ImportFailedError: it does not hand the file out, or it is too large.
    """
    if answer.status_code != httpx.codes.OK:
        raise ImportFailedError(f"{shown} answered {answer.status_code} {one_line(answer.reason_phrase, 80)}")
    announced = int(answer.headers.get("content-length") or 0)
    if announced > limits.max_download_bytes:
        raise ImportFailedError(
            f"{shown} has {announced} bytes; at most {limits.max_download_bytes} are fetched for a disk of that size"
        )
    return announced


def _chunks(answer: httpx.Response, shown: str, limits: ImportLimits) -> Iterator[bytes]:
    """What arrives.

    Raises:
        ImportFailedError: it is more than is fetched for such a disk.
    """
    received = 0
    for chunk in answer.iter_raw(_NETWORK_CHUNK):
        received += len(chunk)
        if received > limits.max_download_bytes:
            raise ImportFailedError(
                f"{shown} sent more than the {limits.max_download_bytes} bytes that are fetched for a disk of that size"
            )
        yield chunk


def unpack(packed: Path, target: Path, *, limits: ImportLimits, keep_going: KeepGoing) -> Path:
    """The file with the image itself: ``packed``, or ``target`` when a gzip or xz stream had to be unpacked.

    Raises:
        ImportFailedError: damaged, packed in another way, or over the limit.
        OSError: the disk is full.
    """
    with packed.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic.startswith(_ZSTD_MAGIC):
            raise ImportFailedError("the file is packed with zstd; publish it as gzip, xz or unpacked")
        if magic.startswith(_GZIP_MAGIC):
            chunks = _gunzip(file)
        elif magic.startswith(_XZ_MAGIC):
            chunks = _unxz(file)
        else:
            return packed
        try:
            _write_sparse(chunks, target, limits, keep_going)
        except (gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
            raise ImportFailedError(f"the file is damaged or lies about how it is packed: {error}") from error
    return target


def without_secrets(url: str) -> str:
    """The URL as it may be shown: no user, password, query or fragment."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(a URL that cannot be read)"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _digest(checksum: str) -> tuple[hashlib._Hash, str]:
    if not checksum:
        return hashlib.sha256(), ""
    algorithm, colon, expected = checksum.partition(":")
    if not colon or algorithm not in _ALGORITHMS:
        raise ImportFailedError(f"checksum {checksum!r}: write ALGORITHM:HEX with one of {', '.join(_ALGORITHMS)}")
    return hashlib.new(algorithm, usedforsecurity=False), expected.strip().lower()


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _unxz(file: BinaryIO) -> Iterator[bytes]:
    """One or more xz streams, with a bound on the dictionary that they may ask for."""
    reader = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    fed = file.read(_CHUNK)
    while True:
        yield reader.decompress(fed, max_length=_CHUNK)
        if reader.eof:
            fed = reader.unused_data.lstrip(b"\0") or file.read(_CHUNK).lstrip(b"\0")
            if not fed:
                return
            reader = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
            continue
        fed = file.read(_CHUNK) if reader.needs_input else b""
        if reader.needs_input and not fed:
            raise EOFError("it ends in the middle")


def _write_sparse(chunks: Iterator[bytes], target: Path, limits: ImportLimits, keep_going: KeepGoing) -> None:
    """Zeros become holes, so that an almost empty image takes almost no space."""
    written = 0
    with target.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        for chunk in chunks:
            keep_going()
            written += len(chunk)
            if written > limits.max_content_bytes:
                raise ImportFailedError(f"the file unpacks to more than the limit of {limits.max_content_bytes} bytes")
            if chunk.count(0) == len(chunk):
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                file.write(chunk)
        file.truncate(written)


def _said(error: Exception) -> str:
    """What went wrong, without the URL that some messages quote."""
    match error:
        case TooSlowError() | httpx.UnsupportedProtocol():
            return str(error)
        case httpcore.TimeoutException():
            return "the server did not answer in time"
        case httpx.InvalidURL():
            return "the URL cannot be read"
        case httpx.TooManyRedirects():
            return "too many redirects"
        case httpcore.ConnectError():
            return "no connection to the server (is it up, and the address right?)"
        case httpcore.ProtocolError():
            return "the server's answer is no HTTP, or ended early"
        case httpcore.NetworkError():
            return "the connection broke"
    return type(error).__name__
