"""The same questions to every library, each in its own words.

A library is a function that imports it and returns its jobs; a job takes the parameters of a case
and returns what is timed and how to read the answers from its result. Imported by the workers of
all environments, so only the standard library is imported above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One question: `call` is timed, `read` turns what it returned into answers.

    A library that states the same quantity twice gives both; the better one counts.
    """

    call: Callable[[], Any]
    read: Callable[[Any], list[float]]
    work: float = 1.0  # packets of a simulation: time is per packet


Jobs = Mapping[str, Callable[..., Job]]


def capmodel() -> Jobs:
    """The package itself, asked through the same door."""
    from capmodel import formulary as f
    from capmodel.path import CapturePath
    from capmodel.simulation import simulate
    from capmodel.solvers import exact

    def one(call: Callable[[], Any]) -> Job:
        return Job(call, lambda found: [float(found)])

    def wait(call: Callable[[], Any], rate: float) -> Job:
        """Of a buffer so large that nothing is lost: Little's law, less the service of length 1."""
        return Job(call, lambda found: [float(found.mean_occupancy) / rate - 1.0])

    def tandem(rate: float, ring: int, capacity: int, first: float, second: float) -> Job:
        def call() -> Any:
            path = CapturePath.split(
                rate=rate, ring=ring, capacity=capacity, kernel_cost=first, consumer_cost=second
            )
            return exact.solve(path)

        return Job(call, lambda found: [float(found.loss)])

    def simulated(path: Any, quantity: str) -> Job:
        packets = 2_000_000
        return Job(
            lambda: simulate(path, packets=packets),
            lambda found: [found.mean[quantity]],
            work=packets,
        )

    def simulated_single(rate: float, capacity: int, service: str) -> Job:
        path = CapturePath.single(rate=rate, capacity=capacity, consumer_cost=1.0, service=service)
        return simulated(path, "loss")

    def simulated_tandem(rate: float, ring: int, second: float) -> Job:
        path = CapturePath.split(
            rate=rate, ring=ring, capacity=ring, kernel_cost=1.0, consumer_cost=second,
            service="deterministic",
        )  # fmt: skip
        return simulated(path, "sojourn_time")

    return {
        "md1k": lambda load, capacity: one(lambda: f.loss_md1k(load, capacity)),
        "mm1k": lambda load, capacity: one(lambda: f.loss_mm1k(load, capacity)),
        "mmpp1k": lambda rates, leave, capacity: one(lambda: f.loss_mmpp1k(rates, leave, capacity)),
        "tandem": tandem,
        "threshold": lambda rate, n: wait(lambda: f.n_policy(rate, 1000, 1.0, n), rate),
        "sleep": lambda rate, sleep: wait(lambda: f.fixed_sleep(rate, 1000, 1.0, sleep), rate),
        "simulated single": simulated_single,
        "simulated tandem": simulated_tandem,
    }


def line() -> Jobs:
    """LINE: exact MAP/G/1/K, M/M/1/K, Markov chains of networks."""
    import numpy as np
    from line_solver import (
        CTMC,
        DropStrategy,
        Exp,
        Network,
        OpenClass,
        Queue,
        SchedStrategy,
        Sink,
        Source,
    )  # fmt: skip
    from line_solver.api.qsys.loss import qsys_mm1k_loss
    from line_solver.api.qsys.mapg1k import qsys_mapg1k

    def losses(found: Mapping[str, Any]) -> list[float]:
        return [float(found["lossProbability"])]

    def md1k(load: float, capacity: int) -> Job:
        service = {"type": "det", "d": 1.0}
        return Job(
            lambda: qsys_mapg1k([[-load]], [[load]], service, capacity),
            lambda found: [float(found["lossProbability"]), float(found["pK"])],  # Poisson: both
        )

    def mmpp1k(rates: list[float], leave: list[float], capacity: int) -> Job:
        arriving = np.diag(rates)
        silent = np.array([[0.0, leave[0]], [leave[1], 0.0]])
        silent -= np.diag(silent.sum(axis=1) + np.asarray(rates))
        service = {"type": "ph", "alpha": [1.0], "T": [[-1.0]]}
        return Job(lambda: qsys_mapg1k(silent, arriving, service, capacity), losses)

    def tandem(rate: float, ring: int, capacity: int, first: float, second: float) -> Job:
        def call() -> Any:
            model = Network("tandem")
            source, sink = Source(model, "source"), Sink(model, "sink")
            stations = [Queue(model, name, SchedStrategy.FCFS) for name in ("ring", "buffer")]
            packets = OpenClass(model, "packets")
            source.setArrival(packets, Exp(rate))
            for station, cost, room in zip(
                stations, (first, second), (ring, capacity), strict=True
            ):
                station.setService(packets, Exp(1.0 / cost))
                station.setCapacity(room)
                station.setDropRule(packets, DropStrategy.DROP)
            model.link(Network.serialRouting(source, *stations, sink))
            # the cutoff bounds all packets of an open class together
            return CTMC(model, cutoff=ring + capacity + 1, verbose=False).getAvgTput()

        return Job(call, lambda found: [1.0 - float(found[2][0]) / rate])

    return {
        "md1k": md1k,
        "mm1k": lambda load, capacity: Job(
            lambda: qsys_mm1k_loss(load, 1.0, capacity), lambda found: [float(found[0])]
        ),
        "mmpp1k": mmpp1k,
        "tandem": tandem,
    }


def ciw() -> Jobs:
    """Ciw: event simulation of networks; its capacities do not count whoever is in service."""
    import ciw

    customers = 20_000

    def run(network: Any, read: Callable[[Any], float]) -> Job:
        def call() -> Any:
            ciw.seed(1)
            simulation = ciw.Simulation(network)
            simulation.simulate_until_max_customers(customers, method="Arrive")
            return simulation

        return Job(call, lambda found: [read(found.get_all_records())], work=customers)

    def lost(records: Any) -> float:
        return sum(r.record_type == "rejection" for r in records) / len(records)

    def stay(records: Any) -> float:
        first: dict[Any, float] = {}
        last: dict[Any, float] = {}
        for record in records:
            name = record.id_number
            first[name] = min(record.arrival_date, first.get(name, record.arrival_date))
            if record.node == 2:
                last[name] = record.exit_date
        return sum(last[name] - first[name] for name in last) / len(last)

    def single(rate: float, capacity: int, service: str) -> Job:
        laws = {"deterministic": ciw.dists.Deterministic(1.0),
                "exponential": ciw.dists.Exponential(1.0)}  # fmt: skip
        network = ciw.create_network(
            arrival_distributions=[ciw.dists.Exponential(rate)],
            service_distributions=[laws[service]],
            number_of_servers=[1],
            queue_capacities=[capacity - 1],
        )
        return run(network, lost)

    def tandem(rate: float, ring: int, second: float) -> Job:
        network = ciw.create_network(
            arrival_distributions=[ciw.dists.Exponential(rate), None],
            service_distributions=[ciw.dists.Deterministic(1.0), ciw.dists.Deterministic(second)],
            number_of_servers=[1, 1],
            queue_capacities=[ring - 1, float("inf")],
            routing=[[0.0, 1.0], [0.0, 0.0]],
        )
        return run(network, stay)

    return {"simulated single": single, "simulated tandem": tandem}


def most_queue() -> Jobs:
    """most-queue: unlimited vacation queues by moments, M/M/1/K, event simulation."""
    from most_queue.sim.base import QsSim
    from most_queue.theory.fifo.mmnr import MMnrCalc
    from most_queue.theory.vacations.mg1_vacations import MG1MultipleVacationsCalc, MG1NPolicyCalc

    service = [1.0, 1.0, 1.0, 1.0]  # raw moments of a constant service

    def mm1k(load: float, capacity: int) -> Job:
        def call() -> Any:
            queue = MMnrCalc(1, capacity - 1)
            queue.set_sources(load)
            queue.set_servers(1.0)
            return queue.get_p()

        return Job(call, lambda found: [float(found[-1])])

    def moments(queue: Any, rate: float) -> Job:
        def call() -> Any:
            queue.set_sources(rate)
            queue.set_servers(service)
            return queue.run()

        return Job(call, lambda found: [float(found.w[0])])

    def threshold(rate: float, n: int) -> Job:
        return moments(MG1NPolicyCalc(n), rate)

    def sleep(rate: float, sleep: float) -> Job:
        queue = MG1MultipleVacationsCalc()
        queue.set_vacations([sleep**k for k in range(1, 6)])
        return moments(queue, rate)

    def single(rate: float, capacity: int, service: str) -> Job:
        served = 20_000
        letter = {"deterministic": "D", "exponential": "M"}[service]

        def call() -> Any:
            queue = QsSim(1, buffer=capacity - 1, verbose=False, seed=1)
            queue.set_sources(rate, "M")
            queue.set_servers(1.0, letter)
            queue.run(served)
            return queue

        return Job(call, lambda found: [found.dropped / found.arrived], work=served)

    return {"mm1k": mm1k, "threshold": threshold, "sleep": sleep, "simulated single": single}


def pyqueueing() -> Jobs:
    """pyqueueing: M/M/1/K in its textbook form."""
    from pyqueueing import MM1K

    return {
        "mm1k": lambda load, capacity: Job(
            lambda: MM1K(load, 1.0, capacity).prob_block(), lambda found: [float(found)]
        )
    }


LIBRARIES: Mapping[str, Callable[[], Jobs]] = {
    "capmodel": capmodel,
    "LINE": line,
    "Ciw": ciw,
    "most-queue": most_queue,
    "pyqueueing": pyqueueing,
}
PACKAGES = {
    "capmodel": "capmodel",
    "LINE": "line-solver",
    "Ciw": "Ciw",
    "most-queue": "most-queue",
    "pyqueueing": "pyqueueing",
}
