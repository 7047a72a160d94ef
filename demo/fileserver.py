#!/usr/bin/env python3
"""Serve one directory over HTTP on the loopback interface, so that demo disks are imported the way real ones are.

Usage: demo/fileserver.py DIRECTORY [--port N] [--rate BYTES_PER_S]

Prints its URL as the first line of standard output once it accepts connections, then serves until SIGTERM or SIGINT.
`--rate` limits each download, to see what a slow import does. Port 0, the default, takes a free one.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import signal
import sys
import time
from pathlib import Path
from typing import IO, Any

LOOPBACK = "127.0.0.1"
CHUNK_BYTES = 64 * 1024


class FileHandler(http.server.SimpleHTTPRequestHandler):
    """Plain GET and HEAD of files below one directory, optionally slowed down."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, rate_bytes_per_s: int | None, quiet: bool, **keywords: Any) -> None:
        self.rate_bytes_per_s = rate_bytes_per_s
        self.quiet = quiet
        super().__init__(*arguments, **keywords)

    def copyfile(self, source: IO[bytes], outputfile: IO[bytes]) -> None:  # type: ignore[override]  # nothing but bytes is copied here
        """Send the file, at most at the given rate. A client that goes away ends the download, nothing else."""
        sent = 0
        started_s = time.monotonic()
        chunk_bytes = min(CHUNK_BYTES, max(1, self.rate_bytes_per_s // 10)) if self.rate_bytes_per_s else CHUNK_BYTES
        try:
            while chunk := source.read(chunk_bytes):
                outputfile.write(chunk)
                sent += len(chunk)
                if self.rate_bytes_per_s:
                    ahead_s = sent / self.rate_bytes_per_s - (time.monotonic() - started_s)
                    time.sleep(max(0.0, ahead_s))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log a request to standard error unless told to be quiet."""
        if not self.quiet:
            super().log_message(format, *args)


def serve(
    directory: Path, *, port: int = 0, rate_bytes_per_s: int | None = None, quiet: bool = False
) -> http.server.ThreadingHTTPServer:
    """A server bound to loopback, not yet serving: call `serve_forever()`; its port is `server_address[1]`."""
    handler = functools.partial(FileHandler, directory=str(directory), rate_bytes_per_s=rate_bytes_per_s, quiet=quiet)
    server = http.server.ThreadingHTTPServer((LOOPBACK, port), handler)
    server.daemon_threads = True
    return server


def main() -> int:
    """Serve until a signal; see the module's text."""
    parser = argparse.ArgumentParser(description="Serve a directory over HTTP on loopback.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=int, metavar="BYTES_PER_S", help="limit of each download")
    parser.add_argument("--quiet", action="store_true", help="do not log requests")
    options = parser.parse_args()
    if not options.directory.is_dir():
        print(f"fileserver: {options.directory} is not a directory", file=sys.stderr)
        return 1
    if options.rate is not None and options.rate < 1:
        print("fileserver: --rate must be at least 1", file=sys.stderr)
        return 1
    try:
        server = serve(options.directory, port=options.port, rate_bytes_per_s=options.rate, quiet=options.quiet)
    except OSError as error:
        print(f"fileserver: cannot listen on {LOOPBACK}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    for stop_signal in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop_signal, lambda *_: sys.exit(0))
    print(f"http://{LOOPBACK}:{server.server_address[1]}/", flush=True)
    with server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
