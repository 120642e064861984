"""What a modality sends of its performed procedure steps: `dimsefast.workflow.mpps`, awaited."""

from __future__ import annotations

from ...workflow.mpps import performed_series
from ...workflow.mpps_operations import complete, create, discontinue, update

__all__ = ["complete", "create", "discontinue", "performed_series", "update"]
