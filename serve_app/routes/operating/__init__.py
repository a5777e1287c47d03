"""Routes for whoever runs the server: health, metrics, bundles, experiments, a page."""
