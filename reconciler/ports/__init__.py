"""The doors of the core: what the cycle asks of Git, of an engine, of the journal, of time and of threads."""

from reconciler.ports.engine import EVERYTHING, Console, Engine
from reconciler.ports.journal import Journal, JournalRemote
from reconciler.ports.leadership import Leadership
from reconciler.ports.source import SecretStore, Source
from reconciler.ports.time_and_threads import Clock, Workers

__all__ = [
    "EVERYTHING",
    "Clock",
    "Console",
    "Engine",
    "Journal",
    "JournalRemote",
    "Leadership",
    "SecretStore",
    "Source",
    "Workers",
]
