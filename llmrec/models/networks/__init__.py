"""Parts of networks: layers, fusion, losses, weights, and the fit of one over many workers."""
