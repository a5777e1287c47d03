"""ASGI middlewares before the routes."""
