"""Ray Serve application: routes → service → deployments."""
