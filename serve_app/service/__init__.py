"""What the routes ask: answers composed of the deployments."""

from serve_app.service.flow import RecommendationService

__all__ = ["RecommendationService"]
