"""The web around the Flask app and the pages: callers, bodies, errors, shapes, cookies, mounts."""
