"""A data set's evaluation protocol, and what it changes of a model."""

from __future__ import annotations

import logging

from flowbench.models.base import FlowModel
from flowbench.structures import EvalProtocol

log = logging.getLogger(__name__)


def follow_protocol(model: FlowModel, protocol: EvalProtocol) -> None:
    """Has the model estimate as the data's protocol says, and logs which of the model's own settings that changes.

    A protocol is the default of a program's `iterations`; it comes before the model's own eval_iterations and padding.
    """
    own = model.iterations, str(model.padder)
    model.follow(protocol)
    if model.iterations != own[0]:
        log.info("iterations: %s, as the data's protocol says; the model's own are %s", model.iterations, own[0])
    if str(model.padder) != own[1]:
        log.info("padder: %s, as the data's protocol says; the model's own is %s", model.padder, own[1])
