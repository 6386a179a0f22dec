"""Numbers, one TOML each: the cost of each primitive on one machine, every value sourced."""
