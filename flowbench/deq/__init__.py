"""Implicit layers: solvers of z = f(z), gradients of the solution, and what keeps them stable.

Nothing here knows of optical flow, or of this project.
"""

from flowbench.deq.anderson import Anderson
from flowbench.deq.broyden import Broyden
from flowbench.deq.corrections import Correction, Corrections, Indexing, Sliced
from flowbench.deq.fixed_point import Damped, FixedPoint
from flowbench.deq.gradients import Gradient, ImplicitGradient, PhantomGradient
from flowbench.deq.jacobian import JacobianPenalty, spectral_radius
from flowbench.deq.layer import DEQ, Training
from flowbench.deq.solution import Solution, SolverStats, StopReason
from flowbench.deq.solver import Solver
from flowbench.deq.state import Map, State

__all__ = [
    "DEQ",
    "Anderson",
    "Broyden",
    "Correction",
    "Corrections",
    "Damped",
    "FixedPoint",
    "Gradient",
    "ImplicitGradient",
    "Indexing",
    "JacobianPenalty",
    "Map",
    "PhantomGradient",
    "Sliced",
    "Solution",
    "Solver",
    "SolverStats",
    "State",
    "StopReason",
    "Training",
    "spectral_radius",
]
