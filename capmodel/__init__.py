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
from capmodel.numerics.arrival_process import MAP
from capmodel.numerics.map_fit import fit_map, fit_map2, fit_mmpp2
from capmodel.path import CapturePath
from capmodel.pcap import Trace, read_trace
from capmodel.prediction import Prediction
from capmodel.replaying import replay
from capmodel.results import Solution
from capmodel.sizing import RequiredBuffer, required_buffer
from capmodel.solvers import SOLVERS, solve
from capmodel.sweeping import Sweep, sweep
from capmodel.traffic import TrafficSummary, summarise
from capmodel.workload import Bursts, Workload

__all__ = [
    "MAP",
    "SOLVERS",
    "Application",
    "Bursts",
    "CapturePath",
    "Constant",
    "Machine",
    "Prediction",
    "RequiredBuffer",
    "Solution",
    "Sweep",
    "Trace",
    "TrafficSummary",
    "Workload",
    "application_names",
    "backend_names",
    "fit_map",
    "fit_map2",
    "fit_mmpp2",
    "load_backend",
    "load_machine",
    "machine_names",
    "predict",
    "read_trace",
    "replay",
    "required_buffer",
    "solve",
    "summarise",
    "sweep",
]
__version__ = "0.1.0"
