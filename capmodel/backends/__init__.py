"""Mechanisms, one TOML each: stages, wait and signal policy, and which costs are charged where."""
