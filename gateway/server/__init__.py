"""What serves the edge: gunicorn's configuration, its worker classes, and the composition root."""
