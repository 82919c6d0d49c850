"""The routes, one module per subject. Each is thin: read the request, run one plan, shape the answer."""
