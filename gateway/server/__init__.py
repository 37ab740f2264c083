"""What runs the edge as processes: composition root, gunicorn's configuration and worker classes,
and the live configuration that SIGHUP reloads."""
