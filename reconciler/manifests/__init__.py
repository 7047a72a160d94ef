"""Bytes → checked documents: strict YAML, schema check, single-document rules, cross-checks. Pure."""
