"""The language model behind `choose` and `generate`: its files, its prompts, and vLLM around it."""
