"""Implicit layers: solvers of z = f(z), gradients of the solution, and regularisation.

Nothing here knows of optical flow, or of this project.
"""

from flowbench.deq.anderson import Anderson
from flowbench.deq.arguments import add_deq_args, get_deq
from flowbench.deq.broyden import Broyden
from flowbench.deq.corrections import Corrections, IndexedCorrection, SegmentedCorrection
from flowbench.deq.fixed_point import Damped, FixedPoint
from flowbench.deq.gradients import Gradient, ImplicitGradient, PhantomGradient
from flowbench.deq.jacobian import JacobianPenalty, spectral_radius
from flowbench.deq.layer import DEQ, SolverMap, TrainingStates
from flowbench.deq.solution import Solution, SolverStats, StopReason
from flowbench.deq.solver import Solver, Step, iterate
from flowbench.deq.state import Map, MapWithMemory, Memory, Packing, State

__all__ = [
    "DEQ",
    "Anderson",
    "Broyden",
    "Corrections",
    "Damped",
    "FixedPoint",
    "Gradient",
    "ImplicitGradient",
    "IndexedCorrection",
    "JacobianPenalty",
    "Map",
    "MapWithMemory",
    "Memory",
    "Packing",
    "PhantomGradient",
    "SegmentedCorrection",
    "Solution",
    "Solver",
    "SolverMap",
    "SolverStats",
    "State",
    "Step",
    "StopReason",
    "TrainingStates",
    "add_deq_args",
    "get_deq",
    "iterate",
    "spectral_radius",
]
