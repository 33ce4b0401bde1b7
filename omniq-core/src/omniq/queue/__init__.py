"""The producer's side: tasks and their names, enqueuing, waiting for results, looking into the queues."""
