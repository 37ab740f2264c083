"""How soon everything works again after a process was killed."""
