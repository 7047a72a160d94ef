"""Faults of secrets: plain ones, those of the host, and those that SOPS encrypts."""

from __future__ import annotations

from reconciler.model.codes.entry import ERROR, WARNING, ProblemCode

SECRETS = (
    ProblemCode(
        "secret-in-plain-text",
        WARNING,
        "A Secret stands in the repository for everybody who can read it, and in its history for ever.",
        "Encrypt it with `sops`, or put it into `secrets.directory` on the host, and change the secret itself.",
    ),
    ProblemCode(
        "secret-overridden",
        WARNING,
        "A Secret of the repository is also in `secrets.directory`. The host's is used.",
        "Remove one of the two.",
    ),
    ProblemCode(
        "secret-file-refused",
        ERROR,
        "A file or directory below `secrets.directory` is open to others, leads elsewhere, has a name that no Secret can "
        "have, or is too large. The Secret counts as present and invalid.",
        "Do what the message says; it names the command.",
    ),
    ProblemCode(
        "secrets-directory",
        ERROR,
        "`secrets.directory` or `secrets.ageKeyFile` cannot be read, or is open to others.",
        "Do what the message says; it names the command.",
    ),
    ProblemCode(
        "source-header-invalid",
        ERROR,
        "A header of an image source is none, or one that the connection sets itself.",
        "Write `Name: value` on one line, in the manifest or in the Secret.",
    ),
    ProblemCode(
        "sops-no-key",
        ERROR,
        "A document is encrypted with SOPS and this host has no age key that opens it.",
        "Set `secrets.ageKeyFile`, or add this host's public key with `sops updatekeys FILE`.",
    ),
    ProblemCode(
        "sops-not-decrypted",
        WARNING,
        "A document is encrypted with SOPS and no age key was given, so that only its shape was checked.",
        "Nothing in a pull request; with `secrets.ageKeyFile` set it is checked whole.",
    ),
    ProblemCode(
        "sops-key-service",
        ERROR,
        "A document is encrypted for a key service (KMS, PGP, Vault) and for no age key.",
        "Add an age recipient and run `sops updatekeys FILE`.",
    ),
    ProblemCode(
        "sops-metadata",
        ERROR,
        "The `sops` entry of a document is damaged, or asks for what is not read (key groups, rules by comment).",
        "Restore the file, and edit it with `sops FILE` only.",
    ),
    ProblemCode(
        "sops-value",
        ERROR,
        "An encrypted value was changed, moved to another key, or replaced by plain text.",
        "Restore the file, and edit it with `sops FILE` only.",
    ),
    ProblemCode(
        "sops-mac",
        ERROR,
        "The MAC over the values of an encrypted file does not fit: something was changed without `sops`.",
        "Restore the file, and edit it with `sops FILE` only.",
    ),
    ProblemCode(
        "sops-value-shown",
        ERROR,
        "A value is encrypted that gitvirt does not keep secret: it would show in plans, in the journal and on the host.",
        "Encrypt only Secrets, ConfigMaps' data, `userData` and `networkData`: "
        "`encrypted_regex: '^(data|stringData|userData|userDataBase64|networkData|networkDataBase64)$'`.",
    ),
)
