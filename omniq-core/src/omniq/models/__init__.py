"""Records: what tasks, results, events, schedules and the configuration are."""
