"""What the counters of a running capture mean: rules, remedies, and what each remedy is worth."""
