"""What turns texts into vectors: the vLLM engine, static encoders, and what identifies each."""
