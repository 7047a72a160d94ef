"""Faults of single objects."""

from __future__ import annotations

from reconciler.model.codes.entry import ERROR, WARNING, ProblemCode

METADATA = (
    ProblemCode(
        "metadata-generate-name",
        ERROR,
        "`generateName` makes a new object each time it is applied; gitvirt needs a fixed name.",
        "Write `name`.",
    ),
    ProblemCode(
        "name-invalid",
        ERROR,
        "A name is not one that the API accepts.",
        "Use lower-case letters, digits and `-`, at most 63 characters (253 with dots, where those are allowed).",
    ),
    ProblemCode(
        "name-too-long",
        ERROR,
        "`<namespace>_<name>` of a VM is longer than the 200 characters that a domain name may have.",
        "Shorten the name or the namespace.",
    ),
    ProblemCode(
        "label-invalid",
        ERROR,
        "A label's key or value is not one that the API accepts.",
        "Keys: `prefix/name`, name and value at most 63 letters, digits, `-`, `_` and `.`.",
    ),
    ProblemCode(
        "annotation-invalid",
        ERROR,
        "An annotation's key is not one that the API accepts, or all annotations together are over 256 KiB.",
        "Correct the key; keep large data elsewhere.",
    ),
    ProblemCode(
        "annotation-value",
        ERROR,
        "An annotation of gitvirt's own has a value that it does not know, so that nobody can tell what was meant.",
        'Write one of the values that the message names; in YAML `"true"` and `"false"` need their quotes.',
    ),
    ProblemCode(
        "sync-wave-invalid",
        ERROR,
        "The annotation `gitvirt.io/sync-wave` or `argocd.argoproj.io/sync-wave` is no whole number, so that nobody can tell when its object's turn is.",
        'Write a whole number of at most nine digits in quotes, such as `"1"` or `"-5"`; lower ones come first.',
    ),
    ProblemCode(
        "quantity-invalid",
        ERROR,
        "A size or amount cannot be read, or is not allowed to be what it is.",
        "Write a number and a unit, such as `4Gi` or `500m`.",
    ),
)

STORAGE = (
    ProblemCode(
        "claim-no-size",
        ERROR,
        "A claim or DataVolume does not say how large it is.",
        "Set `resources.requests.storage`.",
    ),
    ProblemCode(
        "claim-access-modes",
        ERROR,
        "A claim's accessModes are missing or contradict each other.",
        "Set `accessModes: [ReadWriteOnce]`.",
    ),
    ProblemCode(
        "datavolume-source",
        ERROR,
        "A DataVolume has no source or more than one.",
        "Keep exactly one, such as `blank: {}` or `http: {url: …}`.",
    ),
    ProblemCode(
        "datavolume-storage", ERROR, "A DataVolume has neither `storage` nor `pvc`, or both.", "Keep `storage`."
    ),
    ProblemCode(
        "claim-size-order",
        ERROR,
        "The requested size is above the limit.",
        "Remove `resources.limits`: a disk has the size that is requested.",
    ),
    ProblemCode(
        "claim-name-invalid",
        ERROR,
        "`storageClassName` or `volumeName` is not a name.",
        "Use lower-case letters, digits, `-` and `.`.",
    ),
    ProblemCode(
        "claim-selector",
        ERROR,
        "The selector of a claim is malformed.",
        "Correct it as the message says.",
    ),
    ProblemCode(
        "claim-data-source",
        ERROR,
        "What a claim is filled from is not named in full, or named in two ways.",
        "Set `kind`, `name` and, for all but claims, `apiGroup`.",
    ),
    ProblemCode(
        "datavolume-small",
        ERROR,
        "A DataVolume is smaller than 1Mi, which is nearly always a forgotten unit.",
        "Write a unit, such as `20Gi`.",
    ),
    ProblemCode(
        "datavolume-source-incomplete",
        ERROR,
        "The source of a DataVolume lacks what it needs, or says it twice.",
        "Add the field that is named.",
    ),
    ProblemCode(
        "datavolume-source-ref",
        ERROR,
        "`sourceRef` names something other than a DataSource.",
        "Write `kind: DataSource` and its name.",
    ),
    ProblemCode(
        "datavolume-content",
        ERROR,
        "`contentType: archive` is set for a source that is not an archive.",
        "Remove `contentType`.",
    ),
    ProblemCode(
        "url-invalid",
        ERROR,
        "A URL has no host or another scheme than the source takes.",
        "Write `http://` or `https://` and a host.",
    ),
    ProblemCode(
        "checksum-invalid",
        ERROR,
        "A checksum is not `algorithm:hex` with the length of its algorithm.",
        "Write `sha256:` and 64 hexadecimal digits.",
    ),
    ProblemCode(
        "base64-invalid", ERROR, "A value that must be base64 is not.", "Encode it, or use the field for plain text."
    ),
    ProblemCode(
        "data-key-invalid",
        ERROR,
        "A key of a Secret or ConfigMap is not one that the API accepts.",
        "Use letters, digits, `-`, `_` and `.`, at most 253 characters.",
    ),
    ProblemCode("data-too-large", ERROR, "A Secret or ConfigMap holds more than 1 MiB.", "Split it."),
    ProblemCode("data-key-twice", ERROR, "A ConfigMap has one key in `data` and in `binaryData`.", "Keep one."),
)

NETWORK = (
    ProblemCode(
        "nad-no-config",
        ERROR,
        "A NetworkAttachmentDefinition has no `spec.config`; on one host there is no other place to look for it.",
        "Write the CNI configuration as JSON text.",
    ),
    ProblemCode(
        "nad-config-json",
        ERROR,
        "`spec.config` is not a JSON object.",
        "Correct the JSON; the message says where it breaks.",
    ),
    ProblemCode("nad-config-type", ERROR, "The CNI configuration names no plugin type.", 'Add `"type": "bridge"`.'),
    ProblemCode(
        "nad-config-value",
        ERROR,
        "A value of the CNI configuration has the wrong type or is out of range.",
        "Correct it as the message says.",
    ),
    ProblemCode(
        "nad-config-unknown",
        WARNING,
        "The CNI bridge plugin has no such setting.",
        "Take the suggested name, or remove it.",
    ),
)
