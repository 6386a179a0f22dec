# %% [markdown]
# # One core or two
#
# Kernel and application can share a core, run on two, or go where the scheduler puts them. This
# lesson shows which is better when, and why the scheduler's choice makes measurements scatter.

# %%
import numpy as np

from capmodel import predict, sweep
from capmodel.formulary import environment_variance, same_core_carried_rate
from capmodel.plot import plot_core_time, plot_pinning

WIRE = 1.488e6  # packets per second: 64-byte frames at 1 Gbit/s

# %%
axes = plot_pinning()

# %% [markdown]
# ## Up to which rate one core is enough
#
# On one core, a packet costs the time of kernel and application together. Nothing is lost as long
# as that time suffices. On two cores, each has its own second per second, but a packet has to cross
# from one cache to the other, and waking the application costs more.

# %%
low = predict(2e5, pinning="same")
kernel_cost, consumer_cost = float(low.path.kernel.cost), float(low.path.consumer.cost)
drop_cost = float(low.path.kernel.drop_cost)
enough = 1.0 / (kernel_cost + consumer_cost)
print(f"one core is enough up to {1e-6 * enough:.2f} Mpps")
assert predict(0.95 * enough, pinning="same").captured > 0.99
assert predict(1.10 * enough, pinning="same").captured < 0.99

split = predict(2e5, pinning="split")
assert float(split.path.kernel.cost) > kernel_cost
assert float(split.path.consumer.cost) > consumer_cost
assert low.captured > 0.999
assert split.captured > 0.999

# %% [markdown]
# ## Livelock
#
# The kernel has priority. When packets come faster than one core can handle, the kernel goes on
# taking them from the card, only to find the buffer full and throw them away: each costs $c_d$
# although nobody will see it. Interrupts go on too, for a share $\omega$ of the time. What is left
# for the application shrinks as the rate grows.
#
# $$X = \frac{1 - \omega - \lambda c_d}{c_k + c_a - c_d}$$

# %%
rates = np.linspace(1.05 * enough, WIRE, 8)
same = sweep(rates, pinning="same")
shared = [predict(rate, pinning="same").core_time["shared"] for rate in rates]
interrupts = np.array([float(each["interrupts"]) for each in shared])
left = np.maximum(1.0 - interrupts - rates * drop_cost, 0.0)
by_hand = left / (kernel_cost + consumer_cost - drop_cost)
assert np.allclose(same["carried_rate"], by_hand, atol=1e-3 * WIRE)
formula = same_core_carried_rate(
    rates, kernel_cost, consumer_cost, drop_cost, interrupt_share=interrupts
)
assert np.allclose(by_hand, formula)
assert np.all(np.diff(same["carried_rate"]) <= 0.0)
assert set(same["bottleneck"]) == {"shared core"}

overload = predict(WIRE, pinning="same")
times = overload.core_time["shared"]
print(
    f"at wire speed {100 * times['kernel drops']:.0f} % of the core goes into packets that are lost"
)
assert times["kernel drops"] > times["kernel packets"]

beyond = predict(1.25 * enough, pinning="same")
axes = plot_core_time(beyond)
assert beyond.core_time["shared"]["consumer packets"] > times["consumer packets"]

# %% [markdown]
# ## The crossing
#
# Past the rate that one core can handle its curve falls like a stone, and two cores win.

# %%
offered = np.linspace(1e5, WIRE, 200)
both = sweep(offered, pinning=["same", "split"])
one, two = both["captured"][:, 0], both["captured"][:, 1]
behind = offered[one < two - 1e-3]
print(f"two cores win from {1e-6 * behind[0]:.2f} Mpps on")
assert behind[0] >= 0.95 * enough
assert np.all(one[offered > behind[0]] < two[offered > behind[0]])

# %% [markdown]
# With an application that has real work to do, two cores win as soon as one of them is not enough.
# Below that neither loses anything.

# %%
busy = 2.0 * kernel_cost
loaded = sweep(offered, pinning=["same", "split"], work=busy)["captured"]
assert np.all(loaded[:, 0] <= loaded[:, 1] + 1e-3)
assert (loaded[:, 1] - loaded[:, 0]).max() > 0.1

# %% [markdown]
# ## The scheduler
#
# Left alone, the scheduler moves the application between the two placements every now and then. A
# run of 100 seconds sees a few moves only, so runs differ: that is the spread. On average the
# scheduler lies between the two and never beats the better one.

# %%
auto = predict(WIRE, pinning="auto")
first, second = predict(WIRE, pinning="same"), predict(WIRE, pinning="split")
print(f"one core captures {100 * first.captured:.1f} %, two {100 * second.captured:.1f} %,")
print(
    f"the scheduler {100 * auto.captured:.1f} %, give or take {100 * auto.captured_std:.1f} points"
)
assert first.captured <= auto.captured <= second.captured
assert auto.captured_std > max(first.captured_std, second.captured_std)

# %% [markdown]
# Play the scheduler with random numbers and look at the spread of the runs: it must come out as the
# formula has it.

# %%
leave_same = auto.machine.value("leave_same")
leave_split = auto.machine.value("leave_split")
random = np.random.default_rng(5)
RUN, RUNS = 100.0, 4000
on_same = random.random(RUNS) < leave_split / (leave_same + leave_split)
left = np.full(RUNS, RUN)
time_same = np.zeros(RUNS)
while np.any(left > 0.0):
    stay = random.exponential(1.0 / np.where(on_same, leave_same, leave_split))
    spent = np.minimum(stay, left)
    time_same += np.where(on_same, spent, 0.0)
    left -= spent
    on_same = ~on_same
share = time_same / RUN
runs = share * first.captured + (1.0 - share) * second.captured
formula = environment_variance(first.captured, second.captured, leave_same, leave_split, RUN)
print(f"spread of {RUNS} played runs: {100 * runs.std():.2f} points")
assert np.isclose(runs.std(), auto.captured_std, rtol=0.05)
assert np.isclose(auto.captured_std, np.sqrt(formula))
assert np.isclose(runs.mean(), auto.captured, atol=5 * runs.std() / np.sqrt(RUNS))
