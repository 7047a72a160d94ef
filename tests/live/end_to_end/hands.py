"""libvirt's numbers for what people do by hand, so that tests are collected where its Python module is missing.

*Source*: libvirt-domain.h.
"""

from __future__ import annotations

AFFECT_LIVE, AFFECT_CONFIG = 1, 2
XML_INACTIVE = 2
STATE_RUNNING, STATE_PAUSED = 1, 3
