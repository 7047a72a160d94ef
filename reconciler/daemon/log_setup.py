"""Sets structlog up: readable lines on a terminal, one JSON object a line otherwise. Logs go to standard error."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from reconciler.daemon import events
from reconciler.model.plain_text import one_line, plain_lines
from reconciler.settings import LogSettings

_MAX_CHARACTERS = 4000
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_up_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Make every logger of this process write to ``stream`` (standard error) in the format and level of the settings."""
    out = stream or sys.stderr
    console = settings.format == "console" or (settings.format == "auto" and out.isatty())
    level = _LEVELS[settings.level]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _plain_values,
    ]
    if console:
        finishing: list[structlog.typing.Processor] = [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False, key="timestamp"),
            _short,
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(),
                pad_event_to=18,
                sort_keys=False,
                exception_formatter=_write_traceback,
            ),
        ]
    else:
        finishing = [
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_traceback),
            _telling_first,
            structlog.processors.JSONRenderer(default=str),
        ]
    structlog.configure(
        processors=[*shared, *finishing],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", Unfailing(out))),
        cache_logger_on_first_use=False,
    )
    # Libraries speak through the standard library; only their warnings are worth an operator's time.
    handler = logging.StreamHandler(Unfailing(out))
    handler.setFormatter(_PlainFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING))
    threading.excepthook = _log_thread_fault


class Unfailing:
    """A stream that loses what cannot be written (a full disk, a reader that went away): no line is worth a cycle."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or lose it."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written, or lose it."""
        with suppress(OSError, ValueError):
            self._stream.flush()


class _PlainFormatter(logging.Formatter):
    """What libraries say holds what they were given."""

    def format(self, record: logging.LogRecord) -> str:
        """Safe lines."""
        return plain_lines(super().format(record), _MAX_CHARACTERS)


def _traceback(exc_info: structlog.typing.ExcInfo) -> str:
    """A traceback without the values of variables, which may be secret, its lines safe to show."""
    return plain_lines("".join(traceback.format_exception(*exc_info)), _MAX_CHARACTERS)


def _write_traceback(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    stream.write("\n" + _traceback(exc_info))


def _log_thread_fault(fault: threading.ExceptHookArgs) -> None:
    name = fault.thread.name if fault.thread else "unknown"
    structlog.get_logger().error(
        events.WORK_FAILED, work=name, error=f"{fault.exc_type.__name__}: {fault.exc_value}", exc_info=fault.exc_value
    )


def _short(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A line for a person: lists as words, and nothing that says "nothing special"."""
    for key, value in list(event.items()):
        if isinstance(value, list):
            event[key] = ", ".join(value)
        elif (key, value) in (("impact", "none"), ("cause", "commit")):
            del event[key]
    return event


def _telling_first(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """When, how grave and what, before the facts: that is how people read a line."""
    return {name: event[name] for name in ("timestamp", "level", "event") if name in event} | dict(event)


def _plain_values(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Values may come from a commit, a guest or a library: no control character reaches a terminal or breaks a line."""
    for key, value in event.items():
        if isinstance(value, list | tuple):
            event[key] = [one_line(str(item), _MAX_CHARACTERS) for item in value]
        elif not isinstance(value, int | float | bool | type(None)) and key != "exc_info":
            event[key] = one_line(str(value), _MAX_CHARACTERS)
    return event
