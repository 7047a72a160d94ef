"""What can be wrong with a repository; `GitSource` turns each into a status."""

from __future__ import annotations

from reconciler.model.errors import SourceError


class UnreachableError(SourceError):
    """The remote gave no answer, or none that can be used."""


class CredentialError(UnreachableError):
    """A file with a key, a token or a password cannot be used."""


class ServerError(UnreachableError):
    """What the server itself says went wrong. The text is the server's."""


class NotGivenError(UnreachableError):
    """The server does not give out the object that was asked for."""


class NotACommitError(SourceError):
    """What is followed exists and is not a commit."""


class DamagedError(SourceError):
    """The local copy is there and cannot be used."""


class PathMissingError(SourceError):
    """The sub-path is not a directory of the revision."""


class TooLargeError(SourceError):
    """The revision is over a limit as a whole; nothing of it is used."""


class KeysError(SourceError):
    """Signatures have to be checked and cannot be: keys or a program are missing. Nothing new is accepted then."""
