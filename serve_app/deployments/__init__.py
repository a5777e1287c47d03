"""The four Serve deployments: ingress, encoder, retriever, ranker."""
