"""Ray Serve deployments: ingress, encoder, retriever, ranker."""
