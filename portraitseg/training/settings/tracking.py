"""Where a run is written down beside its own folder."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TrackingSettings:
    """A tracking service; both work offline."""

    track: Literal["wandb", "mlflow"] | None = None
    """Log also to Weights & Biases (offline unless WANDB_MODE says otherwise) or to MLflow (OUT/mlflow.db, or MLFLOW_TRACKING_URI)."""
