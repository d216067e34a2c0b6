"""The edges: messages from the bus, requests over HTTP. They translate and call, nothing else."""
