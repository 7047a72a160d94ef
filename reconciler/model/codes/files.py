"""Faults of files, YAML and schemas."""

from __future__ import annotations

from reconciler.model.codes.entry import ERROR, WARNING, ProblemCode

FILES = (
    ProblemCode(
        "yaml-syntax", ERROR, "The text is not YAML.", "Correct the line that is named; the hint names the usual cause."
    ),
    ProblemCode(
        "yaml-encoding",
        ERROR,
        "The file is not UTF-8, or holds a control character.",
        "Save the file as UTF-8 and remove the character.",
    ),
    ProblemCode(
        "yaml-too-large",
        ERROR,
        "The file, its nesting, its documents or what its aliases stand for exceed a limit.",
        "Split the file; remove aliases of aliases.",
    ),
    ProblemCode(
        "problems-untold",
        ERROR,
        "A file or a document has more faults than are told one by one; the others are counted.",
        "Correct those that are told; the others show then.",
    ),
    ProblemCode(
        "yaml-duplicate-key",
        ERROR,
        "A key stands twice in one mapping; YAML tools would silently take the last.",
        "Keep one of the two.",
    ),
    ProblemCode(
        "yaml-key",
        ERROR,
        "A mapping key is a list, a mapping, null or a number that cannot be a key.",
        "Write the key as text in quotes.",
    ),
    ProblemCode(
        "yaml-tag", ERROR, "A tag is not one of YAML's core tags, or the value does not fit it.", "Remove the tag."
    ),
    ProblemCode(
        "yaml-number",
        ERROR,
        "Infinity and not-a-number cannot be written as JSON.",
        "Put the value in quotes if it is text.",
    ),
    ProblemCode(
        "yaml-alias",
        ERROR,
        "An alias names no anchor before it, or an anchor that contains it.",
        "Define the anchor earlier in the same document.",
    ),
    ProblemCode(
        "yaml-merge",
        ERROR,
        "The merge key `<<` has a value that is neither a mapping nor a list of mappings.",
        "Merge an alias of a mapping.",
    ),
    ProblemCode(
        "file-refused",
        ERROR,
        "A file of the tree was not read: a symbolic link, a submodule, a name or a size that is refused.",
        "Put a plain file in its place, or move it out of the path. Nothing is deleted until then.",
    ),
    ProblemCode(
        "document-unidentified",
        ERROR,
        "A document has no kind, apiVersion or name, so it cannot be told which object it is. Deletions stop until it can.",
        "Add what is missing, or move the file out of the path.",
    ),
    ProblemCode(
        "kustomization-ignored",
        WARNING,
        "A kustomization file is not a manifest; gitvirt reads plain manifests and builds nothing.",
        "Commit the built manifests.",
    ),
)

SCHEMA = (
    ProblemCode(
        "kind-unknown",
        ERROR,
        "gitvirt does not know this kind of object, or not in this apiVersion.",
        "Correct kind and apiVersion, or move the file out of the path.",
    ),
    ProblemCode(
        "schema-unknown-field", ERROR, "The API has no such field at this place.", "Take the suggested name or place."
    ),
    ProblemCode(
        "schema-type",
        ERROR,
        "The value has another type than the field.",
        "Write a value of the type that is named; mind quotes.",
    ),
    ProblemCode("schema-required", ERROR, "A field that the API requires is missing.", "Add the field."),
    ProblemCode(
        "schema-enum",
        ERROR,
        "The value is not one of those that the field takes.",
        "Take one of the values that are listed.",
    ),
    ProblemCode(
        "schema-pattern",
        ERROR,
        "The text has not the form that the field needs.",
        "Write it in the form that is named.",
    ),
    ProblemCode(
        "schema-value",
        ERROR,
        "The value is out of the field's range, or the list or mapping has too few or too many entries.",
        "Keep within the range that is named.",
    ),
    ProblemCode(
        "null-in-map",
        ERROR,
        "An entry of a free mapping (labels, data) has no value.",
        'Write `""` for an empty text, or remove the entry.',
    ),
)
