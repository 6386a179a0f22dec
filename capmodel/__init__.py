"""Predict packet-capture loss from models of the receive path.

>>> import capmodel
>>> capmodel.predict(rate=1.27e6, size=64, backend="pf_packet").bottleneck
'kernel'
"""

from capmodel.api import predict
from capmodel.application import Application, application_names
from capmodel.backend import backend_names, load_backend
from capmodel.constant import Constant
from capmodel.machine import Machine, load_machine, machine_names
from capmodel.path import CapturePath
from capmodel.prediction import Prediction
from capmodel.results import Solution
from capmodel.solvers import SOLVERS, solve
from capmodel.sweeping import Sweep, sweep
from capmodel.workload import Bursts, Workload

__all__ = [
    "SOLVERS",
    "Application",
    "Bursts",
    "CapturePath",
    "Constant",
    "Machine",
    "Prediction",
    "Solution",
    "Sweep",
    "Workload",
    "application_names",
    "backend_names",
    "load_backend",
    "load_machine",
    "machine_names",
    "predict",
    "solve",
    "sweep",
]
__version__ = "0.1.0"
